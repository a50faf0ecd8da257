import json

import numpy as np
import pytest
import shapely

from napari_mil.annotations import Region, write_geojson
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.cross_validation import cross_validate
from tests.conftest import write_pyramid
from tests.training.sample_cohorts import with_patients


def test_evaluation_says_both_dispersions_calibration_and_where_each_figure_comes_from(
    feature_folder, quick, settings, tmp_path
):
    cohort = with_patients(feature_folder(n=30), per_patient=2)
    cross_validate(
        cohort, quick(select="loss"), folds=3, repeats=2, out=tmp_path, settings=settings, workers=1
    )
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert {
        "accuracy",
        "balanced_accuracy",
        "auc",
        "average_precision",
        "f1",
        "sensitivity",
        "specificity",
    } <= set(written["metrics"])
    for figure in written["metrics"].values():
        assert {"mean", "low", "high", "sd_repeats", "sd_folds", "fold_mean"} <= set(figure)
        assert figure["protocol"] == "honest"
        assert figure["method"] in written["interval methods"]
    assert "95 % interval by Newcombe" in written["headline"]
    assert written["calibration"]["expected calibration error on test bags"] is not None
    assert len(written["out of fold"]) == 60
    assert written["patients"] == 30


def test_classes_of_few_patients_are_named_in_the_evaluation_and_on_the_card(
    feature_folder, quick, settings, tmp_path
):
    cohort = with_patients(feature_folder(n=12), per_patient=4)
    told = []
    found = cross_validate(
        cohort,
        quick(),
        folds=3,
        out=tmp_path,
        settings=settings,
        workers=1,
        on_event=lambda event: told.append(getattr(event, "message", "")),
    )
    assert [(few.name, few.patients) for few in found.few_patients] == [
        ("benign", 3),
        ("malignant", 3),
    ]
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["few patients"][1] == {"name": "malignant", "patients": 3, "unit": "patient"}
    assert "malignant has only 3 patients." in written["remarks"][-1]
    assert written["remarks"][-1] in told
    assert found.for_card()["few patients"][1] == written["remarks"][-1]


def test_three_classes_have_macro_figures(feature_folder, quick, settings):
    cohort = scan_annotated_folder(feature_folder(classes=("a", "b", "c")))
    found = cross_validate(cohort, quick(epochs=6), folds=3, settings=settings, workers=1)
    assert found.metrics["auc"].mean > 0.8
    assert not found.at_validation_threshold


@pytest.mark.parametrize("supervised", [True, False])
def test_overlays_are_scored_on_the_annotated_tiles_of_test_bags(
    tmp_path, quick, settings, supervised
):
    """Stripes in the left half make a tumour.

    Whether or not regions supervise tiles, the overlay of test slides has to find them.
    """
    for k in range(8):
        label, pixels = (
            ("normal", "tumour")[k % 2],
            np.random.default_rng(k).integers(120, 250, (256, 256, 3), np.uint8),
        )
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        if label == "tumour":
            pixels[::4, :128] = 20
            write_geojson(
                [Region(shapely.box(0, 0, 128, 256), "tumour")],
                tmp_path / "data" / label / f"s{k}.geojson",
            )
        write_pyramid(tmp_path / "data" / label / f"s{k}.tiff", pixels)
    cohort = scan_annotated_folder(tmp_path / "data")
    config = quick(
        aggregator="dsmil",
        aggregator_options={},
        tile_px=64,
        mpp=0.5,
        mask="none",
        epochs=30,
        learning_rate=5e-3,
        instance_labels=supervised,
    )
    found = cross_validate(
        cohort, config, folds=4, out=tmp_path / "ev", settings=settings, workers=1
    )
    assert found.overlay["folds with annotated tiles"] == 4
    assert found.overlay["tile_auc"] > (0.9 if supervised else 0.6)
    assert (
        json.loads((tmp_path / "ev" / "evaluation.json").read_text())["overlay"]["protocol"]
        == "honest"
    )
