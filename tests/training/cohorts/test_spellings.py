"""What counts as one name, and what does not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.training.cohorts.spellings import (
    Spelling,
    key_of,
    label_findings,
    spellings_of,
    used_spellings,
)


def test_the_most_frequent_spelling_is_used():
    labels = ["Tumor", "tumor", "Tumor", " tumor  bed", "Tumor Bed", "stroma"]
    assert spellings_of(labels) == [
        Spelling("Tumor", ("tumor",)),
        Spelling("Tumor Bed", (" tumor  bed",)),
    ]


@pytest.mark.parametrize(
    ("spellings", "used"),
    [
        (["tumor ", "tumor"], "tumor"),
        (["-0", "0"], "0"),
        (["0.0", "0.00", "0"], "0"),
        (["+1", "1"], "1"),
        (["tumo\u0308r", "tum\u00f6r"], "tum\u00f6r"),
        (["tumor ", "tumor ", "tumor"], "tumor "),
    ],
)
def test_of_equally_frequent_spellings_the_shortest_is_used(spellings, used):
    (found,) = spellings_of(spellings)
    assert found.label == used


def test_what_looks_alike_is_said_in_codes():
    (said,) = label_findings(Path("t.csv"), spellings_of(["tum\u00f6r", "tumo\u0308r"]))
    assert said.text.startswith("'tumo\\u0308r' is taken for 'tum\u00f6r'; ")
    (said,) = label_findings(Path("t.csv"), spellings_of(["a", "A ", "a "]))
    assert "'A ', 'a ' are taken for 'a'" in said.text


def test_a_number_and_the_same_with_a_point_are_one_class():
    assert spellings_of(["1", "1.0", "1", "2.5"]) == [Spelling("1", ("1.0",))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P1", "p1"),
        ("1", "1.0"),
        ("1", "1.00"),
        ("0", "0,0"),
        ("1", "001"),
        ("1", "+1"),
        ("0", "-0"),
        ("0.5", "00,5"),
        ("M\u00fcller", "Mu\u0308ller"),
        ("P 1", "P  1"),
        ("P 1", "P\N{NO-BREAK SPACE}1"),
        ("MSI-H", "MSI\N{NON-BREAKING HYPHEN}H"),
        ("MSI-H", "MSI\N{EN DASH}H"),
        ("HER2-", "HER2\N{MINUS SIGN}"),
        ("tumor", "tumor\N{ZERO WIDTH SPACE}"),
        ("tumor", "tu\N{SOFT HYPHEN}mor"),
        ("Tumor", "tumor "),
    ],
)
def test_what_differs_by_its_writing_alone_is_one(one, other):
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P01", "P1"),
        ("1.10", "1.1"),
        ("1", "-1"),
        ("1", "1.5"),
        ("12E3", "12000"),
        ("P1", "P 1"),
        ("12345678901234567", "12345678901234568"),
        ("A-1", "A1"),
        ("1-01", "1-1"),
        ("+", "-"),
        ("", "0"),
    ],
)
def test_what_may_be_two_stays_two(one, other):
    assert key_of(one) != key_of(other)


@given(st.lists(st.text(max_size=5), max_size=12))
def test_every_label_keeps_one_spelling(labels):
    merged = used_spellings(spellings_of(labels))
    assert not set(merged) & set(merged.values())


def test_a_comma_between_thousands_is_no_decimal_comma():
    assert key_of("1,000") != key_of("1")
    assert key_of("1,00") == key_of("1")
