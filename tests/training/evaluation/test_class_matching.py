import pytest

from napari_mil.errors import OptionError
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.class_matching import match_classes
from tests.training.sample_cohorts import put, table

KNOWN = ("normal", "Tumour")


@pytest.fixture
def cohort_of(tmp_path):
    def write(*classes):
        for name in classes:
            for k in range(2):
                put(tmp_path / name / f"{name}{k}.npy")
        return scan_annotated_folder(tmp_path)

    return write


def labels(matched):
    return [bag.label for bag in matched.cohort.bags]


def test_names_match_exactly_or_but_for_case_in_the_order_of_the_classifier(cohort_of):
    matched = match_classes(cohort_of("TUMOUR", "normal"), KNOWN, {}, multi_label=False)
    assert matched.cohort.classes == KNOWN
    assert sorted(labels(matched)) == ["Tumour", "Tumour", "normal", "normal"]
    assert matched.renamed == (("TUMOUR", "Tumour"),)
    assert not matched.unmatched


@pytest.mark.parametrize(
    ("name", "own"),
    [("tum\u00f6r", "tumo\u0308r"), ("MSI-H", "MSI\N{NON-BREAKING HYPHEN}H"), ("1.0", "1")],
)
def test_names_match_in_another_spelling(cohort_of, name, own):
    matched = match_classes(cohort_of(name, "normal"), ("normal", own), {}, multi_label=False)
    assert matched.renamed == ((name, own),)


def test_a_mapping_wins_over_names(cohort_of):
    cohort = cohort_of("normal", "cancer")
    mapping = {"cancer": "Tumour", "normal": "tumour"}
    assert set(labels(match_classes(cohort, KNOWN, mapping, multi_label=False))) == {"Tumour"}


def test_bags_of_a_class_that_is_not_known_are_left_out_and_counted(cohort_of):
    matched = match_classes(cohort_of("normal", "stroma"), KNOWN, {}, multi_label=False)
    assert matched.unmatched == matched.unmapped == ("stroma",)
    assert matched.n_left_out == 2
    assert labels(matched) == ["normal", "normal"]


def test_two_spellings_of_one_class_are_not_guessed_between(cohort_of):
    cohort = cohort_of("TUMOUR", "normal")
    matched = match_classes(cohort, ("normal", "tumour", "Tumour"), {}, multi_label=False)
    assert matched.unmatched == ("TUMOUR",)


def test_several_labels_keep_those_that_are_known(tmp_path):
    for name in "abc":
        put(tmp_path / f"{name}.npy")
    cohort = table(tmp_path, "slide,label\na,x;other\nb,X;y\nc,other\n")
    matched = match_classes(cohort, ("x", "y"), {"X": "x"}, multi_label=True)
    assert labels(matched) == [("x",), ("x", "y")]
    assert matched.n_left_out == 1
    with pytest.raises(OptionError, match="several classes"):
        match_classes(cohort, KNOWN, {}, multi_label=False)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({}, "None of the classes"),
        ({"nobody": "normal"}, "'nobody' that is mapped is not in"),
        ({"a": "nothing"}, "'nothing' that 'a' is mapped to is not the classifier's"),
    ],
)
def test_what_does_not_match_is_named(cohort_of, mapping, said):
    with pytest.raises(OptionError, match=said):
        match_classes(cohort_of("a", "b"), KNOWN, mapping, multi_label=False)


def test_an_empty_class_leaves_bags_out(cohort_of):
    cohort = cohort_of("normal", "tumour")
    matched = match_classes(cohort, KNOWN, {"tumour": ""}, multi_label=False)
    assert matched.unmatched == ("tumour",)
    assert not matched.unmapped
    assert labels(matched) == ["normal", "normal"]


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (("benign", "malignant"), "map them, perhaps benign=normal,malignant=Tumour."),
        (("0", "1"), "map them, perhaps 0=normal,1=Tumour."),
        (("wildtype", "mutant"), "map them, perhaps wildtype=normal,mutant=Tumour."),
        (("a", "b"), "map them (--map-classes A=b)."),
        (("benign", "malignant", "other"), "map them (--map-classes A=b)."),
    ],
)
def test_the_mapping_that_is_advised_takes_the_negative_class_for_the_negative_one(
    cohort_of, names, advice
):
    with pytest.raises(OptionError) as error:
        match_classes(cohort_of(*names), KNOWN, {}, multi_label=False)
    assert str(error.value).endswith(advice)
