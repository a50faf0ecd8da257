from dataclasses import replace

import h5py
import numpy as np
import pytest
import shapely

from napari_mil.annotations import Region, write_geojson
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.dry_run import rehearse
from napari_mil.training.regions.targets import TaughtTiles, Unreached
from tests.training.sample_cohorts import texts


def test_regions_of_another_name_are_named_and_teach_nothing(slides, quick, settings):
    cohort = scan_annotated_folder(slides)
    config = quick(mpp=0.5, tile_px=64)
    found = rehearse(cohort, config, settings=settings)
    assert found.refusals == ()
    assert found.taught == (TaughtTiles("malignant", 0, 0, 32),)
    (text,) = texts(found, FindingKind.REGION_CLASS)
    assert "named Tumor" in text
    mapped = config.changed(region_classes={"Tumor": "malignant"})
    found = rehearse(cohort, mapped, settings=settings)
    assert found.findings == ()
    assert found.taught == (TaughtTiles("malignant", 16, 16, 0),)
    assert (found.instances.tile_px, found.instances.mpp) == (64, 0.5)


def test_slides_whose_scale_cannot_be_used_are_one_line_each_kind(slides, quick, settings):
    cohort = scan_annotated_folder(slides)
    bags = list(cohort.bags)
    bags[0] = replace(bags[0], mpp=None)
    bags[3] = replace(bags[3], mpp=None)
    bags[4] = replace(bags[4], mpp=4.0)
    found = rehearse(
        replace(cohort, bags=tuple(bags)), quick(mpp=0.5, tile_px=64), settings=settings
    )
    missing, coarse = texts(found, FindingKind.UNCERTAIN_SCALE)
    assert missing.startswith("2 slides have no resolution")
    assert "slide_mpp" in missing
    assert coarse.startswith("1 slide is too coarse")
    assert len(found.cohort) == 3


def test_without_any_usable_slide_the_run_is_refused_beforehand(slides, quick, settings):
    cohort = scan_annotated_folder(slides)
    bags = tuple(replace(bag, mpp=None) for bag in cohort.bags)
    found = rehearse(replace(cohort, bags=bags), quick(tile_px=64, mpp=0.5), settings=settings)
    (refusal,) = found.refusals
    assert "slides have no resolution and cannot be used" in refusal
    assert "--slide-mpp" in refusal


def test_several_widths_of_features_are_named_with_their_numbers(feature_folder, quick, settings):
    root = feature_folder(n=6)
    (odd, *_) = sorted((root / "malignant").iterdir())
    np.save(odd, np.ones((4, 99), np.float32))
    found = rehearse(scan_annotated_folder(root), quick(), settings=settings)
    (refusal,) = found.refusals
    assert "1 of 99 numbers" in refusal
    assert odd.name in refusal


def test_a_damaged_bag_of_a_kind_is_named(feature_folder, quick, settings):
    root = feature_folder(n=6)
    first = sorted((root / "benign").iterdir())[0]
    values = np.load(first)
    values[0, 0] = np.nan
    with h5py.File(root / "benign" / "other.h5", "w") as file:
        file["features"] = values
    found = rehearse(scan_annotated_folder(root), quick(), settings=settings)
    (text,) = texts(found, FindingKind.SKIPPED)
    assert "no numbers" in text
    assert found.refusals == ()


def test_a_dry_run_can_be_cancelled(slides, quick, settings):
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        rehearse(
            scan_annotated_folder(slides),
            quick(mpp=0.5, tile_px=64),
            settings=settings,
            cancel=cancel,
        )


@pytest.mark.parametrize("side", [0.9, 10])
def test_a_region_that_no_tile_reaches_half_of_is_said_and_teaches_nothing(
    slides, quick, settings, side
):
    region = Region(shapely.box(0, 0, side, side), "malignant")
    write_geojson([region], slides / "malignant" / "malignant_0.geojson")
    (slides / "malignant" / "malignant_1.geojson").unlink()
    config = quick(mpp=0.5, tile_px=64)
    (taught,) = rehearse(scan_annotated_folder(slides), config, settings=settings).taught
    assert taught == TaughtTiles("malignant", 0, 0, 16, (Unreached("malignant_0.tif", 1),))


def test_a_damaged_file_beside_a_good_one_leaves_what_is_outside_unknown(slides, quick, settings):
    region = Region(shapely.box(0, 0, 128, 256), "malignant")
    write_geojson([region], slides / "malignant" / "malignant_0.geojson")
    (slides / "malignant" / "malignant_0.xml").write_text("<x>")
    (slides / "malignant" / "malignant_1.geojson").unlink()
    config = quick(mpp=0.5, tile_px=64)
    (taught,) = rehearse(scan_annotated_folder(slides), config, settings=settings).taught
    assert taught == TaughtTiles("malignant", 8, 0, 8)
