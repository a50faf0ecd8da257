"""What counts as one name, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.training.cohorts.spellings import Spelling, key_of, spellings_of, used_spellings


def test_the_most_frequent_spelling_is_used():
    labels = ["Tumor", "tumor", "Tumor", " tumor  bed", "Tumor Bed", "stroma"]
    assert spellings_of(labels) == [
        Spelling("Tumor", ("tumor",)),
        Spelling(" tumor  bed", ("Tumor Bed",)),
    ]


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
