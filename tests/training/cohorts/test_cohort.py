import pytest

from napari_mil.errors import TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.training.sample_cohorts import put, table


def test_nothing_and_one_class_cannot_be_trained_on(tmp_path, feature_folder):
    with pytest.raises(TrainingError, match=r"holds no bag .*make one folder per class"):
        scan_annotated_folder(tmp_path).check()
    with pytest.raises(TrainingError, match="one class only"):
        scan_annotated_folder(feature_folder(classes=("only",))).check()


def test_a_table_without_a_bag_that_can_be_used_is_to_be_corrected(tmp_path):
    with pytest.raises(TrainingError, match=r"list bags in labels\.csv"):
        table(tmp_path, "slide,label\n").check()
    with pytest.raises(TrainingError, match=r"no such file.*; correct labels\.csv"):
        table(tmp_path, "slide,label\na,x\n").check()


def test_the_positive_class_can_be_chosen(cohort):
    turned = cohort.with_positive("benign")
    assert turned.classes == ("malignant", "benign")
    assert turned.targets.tolist() == [1] * 12 + [0] * 12
    with pytest.raises(TrainingError, match="not one of two classes"):
        cohort.with_positive("neither")


def test_a_pattern_on_names_gives_the_patients(feature_folder):
    cohort = scan_annotated_folder(feature_folder(n=12))
    assert not cohort.patients_known
    assert cohort.unit == "bag (patients unknown)"
    named = cohort.with_patients(r"[a-z]+_\d")
    assert named.patients_known
    assert named.unit == "patient"
    assert {bag.patient for bag in named.bags} == {
        "benign_0",
        "benign_1",
        "malignant_0",
        "malignant_1",
    }
    assert cohort.with_patients(None) is cohort


def test_the_only_group_of_a_pattern_is_the_patient(feature_folder):
    cohort = scan_annotated_folder(feature_folder(n=2)).with_patients(r"[a-z]+_(\d+)")
    assert [bag.patient for bag in cohort.bags] == ["00", "01", "00", "01"]


def test_spellings_of_one_patient_in_names_are_one_and_said(tmp_path):
    for name in ("P1_a", "p1_b", "P2_a", "p3_a"):
        put(tmp_path / f"{name}.npy")
    rows = "".join(f"{name},{name[-1]}\n" for name in ("P1_a", "p1_b", "P2_a", "p3_a"))
    named = table(tmp_path, f"slide,label\n{rows}").with_patients("[Pp][0-9]")
    assert [bag.patient for bag in named.bags] == ["P1", "P1", "P2", "p3"]
    assert [each.number for each in named.warnings if each.kind is FindingKind.SPELLING] == [1]


def test_a_pattern_leaves_known_patients_and_names_that_do_not_match(tmp_path):
    for name in ("p1_a", "p1_b", "other"):
        put(tmp_path / f"{name}.npy")
    cohort = table(tmp_path, "slide,label,patient\np1_a,x,known\np1_b,y,\nother,y,\n")
    named = cohort.with_patients("p[0-9]")
    assert [bag.patient for bag in named.bags] == ["known", "p1", f"{tmp_path.name}/other"]
    assert [bag.patient_known for bag in named.bags] == [True, True, False]
