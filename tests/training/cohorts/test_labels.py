"""Labels as people write them."""

import pytest

from napari_mil.training.cohorts.labels import (
    GuessReason,
    guess_of,
    is_minus,
    is_missing,
    is_negative,
    minus_is_a_class,
    negative_of,
    ordered_classes,
)


@pytest.mark.parametrize(
    "cell",
    [
        *("", " NA ", "nan", "Unknown", "N/A", "-", "?", "[Not Available]"),
        *("<NA>", "#NA", "#N/A", "#N/A N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#BEZUG!"),
        *(
            "n.d.",
            "-NaN",
            "\N{EN DASH}",
            "\N{EM DASH}",
            "\N{NO-BREAK SPACE}",
            "NA\N{ZERO WIDTH SPACE}",
        ),
    ],
)
def test_cells_that_say_nothing_are_missing(cell):
    assert is_missing(cell)


@pytest.mark.parametrize(
    "cell", ["0", "no", "negative", "normal", "NAT", "NAD", "unknown primary", "ND", "#1", "#HER2"]
)
def test_cells_that_say_something_are_not(cell):
    assert not is_missing(cell)


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
        ("BRAF_wt", "BRAF_V600E"),
        ("IDHwt", "IDHmut"),
        ("N0", "N+"),
        ("pN0", "pN+"),
        ("MGMT-unmeth", "MGMT-meth"),
        ("nomet", "met"),
        ("MMRp", "MMRd"),
        ("tumor_free", "tumor"),
        ("disease-free", "disease"),
        ("negative for malignancy", "malignant"),
        ("normal_mucosa", "adenocarcinoma"),
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


@pytest.mark.parametrize(
    "name",
    ["under", "index", "nodule", "atypia", "notch", "node-positive", "normalised", "freehand"],
)
def test_names_that_begin_like_negative_ones_are_not(name):
    assert not is_negative(name, "tumour")


def test_two_names_that_say_nothing_are_a_guess():
    assert guess_of(("a", "b"), multi_label=False) is GuessReason.ALPHABET
    assert guess_of(("benign", "malignant"), multi_label=False) is None
    assert guess_of(("a", "b", "c"), multi_label=False) is None
    assert guess_of(("a", "b"), multi_label=True) is None


@pytest.mark.parametrize(
    ("negative", "positive"),
    [
        ("typical", "atypical"),
        ("typical carcinoid", "atypical carcinoid"),
        ("carcinoid, typical", "carcinoid, atypical"),
        ("Typical", "Atypical"),
        ("asymptomatic", "symptomatic"),
        ("avascular", "vascular"),
    ],
)
def test_a_prefix_of_one_letter_is_a_guess_and_atypia_is_the_finding(negative, positive):
    for names in ([negative, positive], [positive, negative]):
        classes = ordered_classes(names, multi_label=False)
        assert classes == (negative, positive)
    assert guess_of(classes, multi_label=False) is GuessReason.PREFIX
    assert negative_of(classes) is None


def test_the_negative_one_of_two_is_named_where_names_tell():
    assert negative_of(["malignant", "benign"]) == "benign"
    assert negative_of(["0", "1"]) == "0"
    assert negative_of(["a", "b"]) is None
    assert negative_of(["benign", "b", "c"]) is None


def test_a_minus_is_a_class_beside_plus_signs_alone():
    assert minus_is_a_class(["-", "+"])
    assert minus_is_a_class(["++", " + "])
    assert not minus_is_a_class(["-", "1+", "positive"])
    assert is_minus("\N{MINUS SIGN}")
    assert not is_minus("n-")


def test_of_two_negative_names_the_positive_class_is_a_guess():
    assert guess_of(("HER2-low", "HER2-zero"), multi_label=False) is GuessReason.ALPHABET


def test_a_missing_date_of_pandas_is_missing():
    assert is_missing("NaT")
