from pathlib import Path

import pytest

from napari_mil.training.cohorts.cohort import FEATURES, Cohort, CohortBag
from napari_mil.training.cohorts.patients import barcode_of, own_name, suggest_pattern

SPOTS = (10, 12, 14, 23, 31, 44, 49, 55, 74, 76)
"""Patients of a tissue microarray, each with six cores."""


def cohort_of(names, patient_known=False):
    """Cohort of bags by name, alternately benign and malignant."""
    classes = ("benign", "malignant")
    bags = tuple(
        CohortBag(
            Path("cohort", classes[k % 2], f"{name}.npy"),
            classes[k % 2],
            own_name(Path(classes[k % 2], f"{name}.npy")),
            4,
            FEATURES,
            patient_known=patient_known,
        )
        for k, name in enumerate(names)
    )
    return Cohort(Path("cohort"), classes, bags)


def core_names(cores=6):
    return [f"ytma{spot}_0107{spot}_benign{core}" for spot in SPOTS for core in range(cores)]


def test_barcodes_give_the_patient():
    assert barcode_of(Path("TCGA-CR-7395-01A-01-TS1.a1b2.svs")) == "TCGA-CR-7395"
    assert barcode_of(Path("tcga-cr-7395.h5")) == "TCGA-CR-7395"
    assert barcode_of(Path("TCGA-CR-7395.h5")) == "TCGA-CR-7395"


def test_a_name_that_only_looks_like_a_barcode_gives_none():
    assert barcode_of(Path("one/TCGA-like.slide.h5")) is None
    assert own_name(Path("one/TCGA-like.slide.h5")) == "one/TCGA-like.slide"


def test_a_pattern_is_offered_where_names_split_evenly():
    cohort = cohort_of(core_names())
    pattern = suggest_pattern(cohort)
    assert pattern == "[^_]+_[^_]+(?=_)"
    named = cohort.with_patients(pattern)
    assert named.n_patients == len(SPOTS)
    assert named.bags[0].patient == "ytma10_010710"


@pytest.mark.parametrize(
    "names",
    [
        [f"slide{k}" for k in range(20)],
        [f"slide_{k}" for k in range(20)],
        [f"big_{k}" for k in range(30)] + [f"p{k}_{i}" for k in range(5) for i in range(2)],
        [*core_names(), "other"],
    ],
    ids=["no separator", "one group", "one group dominates", "one name does not match"],
)
def test_no_pattern_is_offered_where_names_do_not_split_evenly(names):
    assert suggest_pattern(cohort_of(names)) is None


def test_no_pattern_is_offered_where_patients_are_known():
    assert suggest_pattern(cohort_of(core_names(), patient_known=True)) is None
