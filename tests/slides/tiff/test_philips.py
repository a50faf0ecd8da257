import numpy as np
import openslide
import pytest

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide
from napari_mil.slides.tiff import TiffBackend
from tests.slides.tiff.philips_files import (
    DOWNSAMPLES,
    SIZE,
    TILE,
    clipped,
    description,
    picture,
    write_philips,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "philips.tiff"


def test_levels_have_the_sizes_that_the_xml_implies_not_those_of_whole_tiles(path):
    stored = write_philips(path)
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert isinstance(slide._backend, TiffBackend)
        assert (slide.vendor, reference.properties["openslide.vendor"]) == ("philips", "philips")
        assert slide.level_dimensions == reference.level_dimensions
        assert slide.level_dimensions[1:] != tuple(
            (pixels.shape[1], pixels.shape[0]) for pixels in stored[1:]
        )
        assert slide.level_downsamples == reference.level_downsamples == DOWNSAMPLES
        assert slide.mpp_xy == pytest.approx((0.24, 0.25))
        assert slide.missing == 0


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("level", range(len(DOWNSAMPLES)))
def test_painted_tiles_are_read_exactly_at_every_level_and_offset(path, level, extra):
    pixels = clipped(write_philips(path, extra=extra))[level]
    height, width = pixels.shape[:2]
    random = np.random.default_rng(level)
    with open_slide(path) as slide:
        downsample = slide.level_downsamples[level]
        for _ in range(40):
            column, row = random.integers((width, height))
            size = random.integers(1, 2 * TILE, 2)
            expected = np.full((size[1], size[0], 3), 255, np.uint8)
            inside = pixels[row : row + size[1], column : column + size[0]]
            expected[: inside.shape[0], : inside.shape[1]] = inside
            place = (column * downsample, row * downsample)
            read = slide.read_region(place, level, tuple(size.tolist()))
            assert np.array_equal(read, expected)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
def test_aligned_reads_of_jpeg_tiles_have_openslides_pixels(path, subsampling):
    write_philips(path, compression="jpeg", photometric="ycbcr", subsampling=subsampling)
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        for level, (width, height) in enumerate(slide.level_dimensions):
            region = reference.read_region((0, 0), level, (width, height))
            expected = np.asarray(region.convert("RGB"))
            assert np.asarray(region)[..., 3].min() == 255
            assert np.array_equal(slide.read_region((0, 0), level, (width, height)), expected)


def test_tiles_without_bytes_are_white_and_counted(path):
    left_out = {(0, 2, 3), (0, 6, 8), (1, 0, 0)}
    pixels = clipped(write_philips(path, left_out=left_out))[0]
    for _, row, column in sorted(left_out)[:2]:
        pixels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = 255
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert np.array_equal(slide.read_region((0, 0), 0, SIZE), pixels)
        assert slide.missing == pytest.approx(2 / 63)
        alpha = np.asarray(reference.read_region((0, 0), 0, SIZE))[..., 3]
        assert (alpha == 0).sum() == 2 * TILE**2


def test_label_and_macro_of_the_xml_are_read_on_request_and_stay_out_of_the_properties(path, noise):
    pictures = {"label": noise[:90, :60], "macro": noise[100:150, :200]}
    kinds = {"label": "LABELIMAGE", "macro": "MACROIMAGE"}
    xml = description(DOWNSAMPLES, [picture(kinds[n], pixels) for n, pixels in pictures.items()])
    write_philips(path, xml=xml)
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert sorted(slide.associated_images) == ["label", "macro"]
        for name, image in reference.associated_images.items():
            expected = np.asarray(image.convert("RGB"))
            assert np.array_equal(slide.associated_images[name], expected)
        assert max(map(len, slide.properties.values())) < 200
        assert slide.properties["openslide.objective-power"] == "40"
        entries = {k: v for k, v in slide.properties.items() if k.startswith("philips.")}
        assert entries["philips.DICOM_MANUFACTURER"] == "PHILIPS"
        assert entries.items() <= dict(reference.properties).items()


def test_a_damaged_label_is_named_when_it_is_asked_for(path):
    broken = picture("LABELIMAGE", np.zeros((20, 20, 3), np.uint8)).replace("/9j/", "AAAA")
    write_philips(path, xml=description(DOWNSAMPLES, [broken]))
    with open_slide(path) as slide, pytest.raises(UnreadableSlideError, match="label image"):
        slide.associated_images["label"]


def test_levels_that_the_xml_does_not_know_are_refused(path):
    write_philips(path, xml=description(DOWNSAMPLES[:-1]))
    with pytest.raises(UnreadableSlideError, match="scale of 3 levels, the file has 4"):
        open_slide(path)


@pytest.mark.parametrize("with_spacings", [True, False])
def test_a_single_level_needs_no_scale_of_levels(path, with_spacings):
    xml = None if with_spacings else description(())
    stored = write_philips(path, (1,), xml=xml)
    with open_slide(path) as slide:
        assert slide.vendor == "philips"
        assert np.array_equal(slide.read_region((0, 0), 0, SIZE), stored[0])
