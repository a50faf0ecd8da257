"""Labels as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.training.cohorts.labels import (
    Spelling,
    is_guessed,
    is_missing,
    is_negative,
    look_like_a_measurement,
    ordered_classes,
    spellings_of,
)


@pytest.mark.parametrize("cell", ["", " NA ", "nan", "Unknown", "N/A", "-", "?", "[Not Available]"])
def test_cells_that_say_nothing_are_missing(cell):
    assert is_missing(cell)


@pytest.mark.parametrize("cell", ["0", "no", "negative", "normal", "NAD", "unknown primary"])
def test_cells_that_say_something_are_not(cell):
    assert not is_missing(cell)


def test_the_most_frequent_spelling_is_used():
    labels = ["Tumor", "tumor", "Tumor", " tumor  bed", "Tumor Bed", "stroma"]
    assert spellings_of(labels) == [
        Spelling("Tumor", ("tumor",)),
        Spelling(" tumor  bed", ("Tumor Bed",)),
    ]


def test_a_number_and_the_same_with_a_point_are_one_class():
    assert spellings_of(["1", "1.0", "1", "2.5"]) == [Spelling("1", ("1.0",))]


@pytest.mark.parametrize(
    ("labels", "is_measurement"),
    [
        (["4.9", "4.1", "3.6", "2.6", "2.7"], True),
        ([str(k) for k in range(12)], True),
        (["0", "1"] * 50, False),
        (["1", "2", "3", "4", "5"] * 10, False),
        (["3", "3.5", "4", "4.5", "5"] * 10, True),
        (["a", "1.5", "2.5", "3.5", "4.5", "5.5"], False),
        (["0.5", "1.5"], False),
        (["0,5", "1,5", "2,5", "3,5", "4,5"] * 10, True),
        ([str(k) for k in range(40, 50)] * 2, True),
        ([str(k) for k in range(10)] * 5, False),
    ],
)
def test_numbers_of_a_scale_are_told_from_grades(labels, is_measurement):
    assert look_like_a_measurement(labels) is is_measurement


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("nonMSIH", "MSIH"),
        ("non-responder", "responder"),
        ("no tumour", "tumour"),
        ("not mutated", "mutated"),
        ("unmethylated", "methylated"),
        ("inactive", "active"),
        ("neg", "pos"),
        ("HER2-", "HER2+"),
        ("WT", "mutant"),
        ("low", "high"),
        ("ER negative", "ER positive"),
        ("grade low", "grade high"),
        ("N0", "N1"),
        ("MSS", "MSI"),
        ("MSI-L", "MSI-H"),
        ("not metastatic", "metastatic"),
    ],
)
def test_negative_names_are_known(name, other):
    assert is_negative(name, other)
    assert not is_negative(other, name)
    assert ordered_classes([name, other], multi_label=False) == (name, other)


@pytest.mark.parametrize("name", ["under", "index", "nodule", "atypia", "notch", "node-positive"])
def test_names_that_begin_like_negative_ones_are_not(name):
    assert not is_negative(name, "tumour")


def test_two_names_that_say_nothing_are_a_guess():
    assert is_guessed(("a", "b"), multi_label=False)
    assert not is_guessed(("benign", "malignant"), multi_label=False)
    assert not is_guessed(("a", "b", "c"), multi_label=False)


@given(st.lists(st.text(max_size=5), max_size=12))
def test_every_label_keeps_one_spelling(labels):
    merged = {other: each.label for each in spellings_of(labels) for other in each.others}
    assert not set(merged) & set(merged.values())
