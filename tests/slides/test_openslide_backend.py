import numpy as np
import openslide
import pytest
from PIL import Image

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide


def on_white(image):
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"), int)


def test_a_region_has_the_pixels_openslide_gives(slide, slide_path):
    with openslide.OpenSlide(str(slide_path)) as reference:
        expected = on_white(reference.read_region((700, 900), 0, (300, 200)))
    region = slide.read_region((700, 900), 0, (300, 200))
    assert region.dtype == np.uint8
    assert np.array_equal(region, expected)


def test_every_slide_that_openslide_opens_reads_the_same(shared):
    names = [
        "derived/cmu1-mosaic-398MP.tiff",
        "derived/two-regions-mimic.scn",
        "svs/TCGA-CR-7395-01A-01-TS1.svs",
        "tiff/biopsy-packed-3level.tif",
    ]
    for name in names:
        path = shared / "data/slides" / name
        with openslide.OpenSlide(str(path)) as reference, open_slide(path) as slide:
            x, y, width, height = slide.bounds
            for level, downsample in enumerate(reference.level_downsamples):
                if downsample != round(downsample):
                    continue  # OpenSlide blends there
                at = tuple(
                    int(value // downsample * downsample)
                    for value in (x + width * 0.4, y + height * 0.4)
                )
                expected = on_white(reference.read_region(at, level, (100, 80)))
                region = slide.read_region(at, level, (100, 80))
                assert np.abs(expected - region).max() <= 1, (name, level)


def test_any_file_of_a_dicom_slide_is_the_same_slide(shared):
    fingerprints = set()
    for path in (shared / "data/slides/dicom/CMU-1-Small-Region").glob("*.dcm"):
        with open_slide(path) as slide:
            fingerprints.add(slide.fingerprint)
    assert len(fingerprints) == 1


def test_associated_images_are_there_when_asked_for(slide):
    assert {"label", "macro"} <= set(slide.associated_images)
    assert slide.associated_images["label"].shape[2] == 3


def test_damaged_pixels_are_an_error_that_names_the_file(shared):
    with open_slide(shared / "data/slides/tiff/boxes-4level-deflate.tiff") as fine:
        assert fine.mpp is None
    with (
        pytest.raises(UnreadableSlideError, match=r"unreadable\.svs"),
        open_slide(shared / "data/slides/broken/unreadable.svs") as slide,
    ):
        slide.read_region((0, 0), 0, (16, 16))
