import numpy as np
import openslide
import pytest
import tifffile
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


def test_damaged_tiles_are_white_and_noted_while_the_rest_is_read(shared, tmp_path):
    source = shared / "data/slides/derived/two-regions-mimic.scn"
    with tifffile.TiffFile(source) as file:
        start = file.series[1].keyframe.dataoffsets[0]
    path = tmp_path / "damaged.scn"
    content = bytearray(source.read_bytes())
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    with open_slide(source) as intact, open_slide(path) as slide:
        corner = tuple(int(slide.properties[f"openslide.region[0].{axis}"]) for axis in "xy")
        pixels = slide.read_region(corner, 0, (600, 600))
        damaged = np.zeros((600, 600), bool)
        for left, top, right, bottom in slide.damage.boxes(0).astype(int):
            rows = slice(max(top - corner[1], 0), bottom - corner[1])
            damaged[rows, max(left - corner[0], 0) : right - corner[0]] = True
        assert damaged[:256, :256].all()
        assert not damaged[512:].any()
        assert not damaged[:, 512:].any()
        assert (pixels[damaged] == 255).all()
        expected = intact.read_region(corner, 0, (600, 600))
        assert np.array_equal(pixels[~damaged], expected[~damaged])
        assert "cannot be read (OpenSlide: " in slide.warnings[-1].text


def test_any_file_of_a_dicom_slide_is_the_same_slide(shared):
    fingerprints = set()
    for path in (shared / "data/slides/dicom/CMU-1-Small-Region").glob("*.dcm"):
        with open_slide(path) as slide:
            fingerprints.add(slide.fingerprint)
    assert len(fingerprints) == 1


def test_associated_images_are_there_when_asked_for(slide):
    assert {"label", "macro"} <= set(slide.associated_images)
    assert slide.associated_images["label"].shape[2] == 3


def test_the_reason_of_openslide_is_passed_on_without_paths(shared, tmp_path):
    source = shared / "data/slides/broken/Hamamatsu-VMS"
    (index,) = source.glob("*.vms")
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(index)
    assert "OpenSlide: " in str(caught.value)
    assert str(source) not in str(caught.value)
