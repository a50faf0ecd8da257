from dataclasses import replace

import h5py
import numpy as np
import pytest
import shapely
from PIL import Image

from napari_mil.annotations import Region, write_geojson
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.findings import FindingKind
from napari_mil.training import bag_checks
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.dry_run import rehearse
from napari_mil.training.instance_labels import TaughtTiles
from tests.conftest import write_pyramid


def texts(found, kind):
    return [finding.text for finding in found.findings if finding.kind is kind]


@pytest.fixture
def slides(tmp_path):
    """Six slides; those of one class have their left half annotated, under another name."""
    root = tmp_path / "slides"
    random = np.random.default_rng(0)
    for name in ("benign", "malignant"):
        (root / name).mkdir(parents=True)
        for k in range(3):
            pixels = random.integers(60, 200, (256, 256, 3), np.uint8)
            write_pyramid(root / name / f"{name}_{k}.tif", pixels)
    for k in range(2):
        region = Region(shapely.box(0, 0, 128, 256), "Tumor")
        write_geojson([region], root / "malignant" / f"malignant_{k}.geojson")
    return root


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
    assert "holds no bag that can be used" in refusal


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


WHITE = np.full((256, 256, 3), 255, np.uint8)


def test_a_class_whose_only_slide_shows_no_tissue_is_refused(slides, quick, settings):
    for path in (slides / "malignant").iterdir():
        path.unlink()
    write_pyramid(slides / "malignant" / "malignant_9.tif", WHITE)
    found = rehearse(scan_annotated_folder(slides), quick(mpp=0.5, tile_px=64), settings=settings)
    assert "holds one class only (benign)" in found.refusals[0]
    assert "no tissue" in texts(found, FindingKind.SKIPPED)[0]


def test_a_later_slide_without_tissue_is_left_out(slides, quick, settings):
    write_pyramid(slides / "malignant" / "malignant_9.tif", WHITE)
    found = rehearse(scan_annotated_folder(slides), quick(mpp=0.5, tile_px=64), settings=settings)
    (text,) = texts(found, FindingKind.SKIPPED)
    assert "no tissue" in text
    assert found.cohort.counts == {"benign": 3, "malignant": 3}
    assert not texts(found, FindingKind.UNCHECKED)


def test_the_slides_of_the_smallest_class_are_among_the_first(slides, quick, settings, monkeypatch):
    monkeypatch.setattr(bag_checks, "MOST_SLIDES", 2)
    for path in sorted((slides / "malignant").glob("*.tif")):
        path.unlink()
    write_pyramid(slides / "malignant" / "malignant_9.tif", WHITE)
    found = rehearse(scan_annotated_folder(slides), quick(mpp=0.5, tile_px=64), settings=settings)
    assert "holds one class only (benign)" in found.refusals[0]
    (text,) = texts(found, FindingKind.UNCHECKED)
    assert text.startswith("Not looked at: the tissue of 2 slides; the run leaves out")


@pytest.mark.parametrize(
    ("content", "most_pixels"), [(b"", 0), (b"xx", 0), (b"", 5e8), (b"xx", 5e8), ("cut", 5e8)]
)
@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_later_folder_with_a_damaged_picture_is_left_out(
    image_folder, quick, settings, monkeypatch, content, all_of_them, most_pixels
):
    monkeypatch.setattr(bag_checks, "MOST_PIXELS", most_pixels)
    files = sorted((image_folder / "bright" / "bag2").iterdir())
    for path in files if all_of_them else files[1:2]:
        path.write_bytes(path.read_bytes()[:600] if content == "cut" else content)
    found = rehearse(scan_annotated_folder(image_folder), quick(), settings=settings)
    (finding,) = (each for each in found.findings if each.kind is FindingKind.SKIPPED)
    assert finding.path.name == "bag2"
    assert finding.text.startswith(f"{files[0 if all_of_them else 1].name} is")
    assert len(found.cohort) == 7
    assert len(texts(found, FindingKind.UNCHECKED)) == (not most_pixels)


def test_a_picture_that_is_too_large_is_said_beforehand(image_folder, quick, settings):
    Image.new("1", (20000, 20000)).save(image_folder / "bright" / "bag2" / "1.png")
    found = rehearse(scan_annotated_folder(image_folder), quick(), settings=settings)
    assert [each.path.name for each in found.findings if each.kind is FindingKind.SKIPPED] == [
        "bag2"
    ]


def test_later_feature_files_are_read_within_a_bound(feature_folder, quick, settings, monkeypatch):
    root = feature_folder(n=6)
    last = sorted((root / "malignant").iterdir())[-1]
    np.save(last, np.full((4, 8), np.nan, np.float32))
    cohort = scan_annotated_folder(root)
    bag = next(iter(cohort.bags))
    bad = replace(bag, path=last, label="malignant", content="x")
    cohort = replace(cohort, bags=(*(each for each in cohort.bags if each.path != last), bad))
    found = rehearse(cohort, quick(), settings=settings)
    assert "no numbers" in texts(found, FindingKind.SKIPPED)[0]
    monkeypatch.setattr(bag_checks, "MOST_BYTES", 1)
    found = rehearse(cohort, quick(), settings=settings)
    (text,) = texts(found, FindingKind.UNCHECKED)
    assert "the values of 11 feature files" in text
