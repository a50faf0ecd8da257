"""What a run would leave out is said beforehand, within bounds."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_mil.findings import FindingKind
from napari_mil.training import bag_checks
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.dry_run import rehearse
from tests.conftest import write_pyramid
from tests.training.sample_cohorts import texts

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
