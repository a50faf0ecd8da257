import threading

import numpy as np
import pytest

from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.slides import open_slide


def test_outside_of_the_slide_is_white(slide):
    width, height = slide.dimensions
    corner = slide.read_region((width - 3, height - 2), 0, (10, 10))
    assert (corner[2:] == 255).all()
    assert (corner[:, 3:] == 255).all()
    assert (slide.read_region((-50, -50), 0, (20, 20)) == 255).all()


def test_a_location_is_rounded_to_the_nearest_pixel_of_the_level(paint, noise):
    slide = paint(noise[:600, :464], downsamples=(1, 4))
    exact = slide.read_region((40, 80), 1, (16, 8))
    for x, y in ((41, 81), (39, 79), (40.9, 78.1)):
        assert np.array_equal(slide.read_region((x, y), 1, (16, 8)), exact)
    assert not np.array_equal(slide.read_region((43, 80), 1, (16, 8)), exact)


def test_threads_read_the_same_pixels_as_one(slide):
    locations = [(x, y) for x in range(0, 2000, 250) for y in range(0, 2800, 350)]
    alone = [slide.read_region(at, 0, (120, 90)) for at in locations]
    together = [None] * len(locations)

    def read(start):
        for k in range(start, len(locations), 4):
            together[k] = slide.read_region(locations[k], 0, (120, 90))

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_scale_comes_from_the_file_or_the_user(slide, slide_path):
    assert (slide.mpp, slide.mpp_source) == (0.499, "openslide")
    with slide.with_mpp(0.25) as corrected:
        assert (corrected.mpp, corrected.mpp_source) == (0.25, "user")
    with pytest.raises(NapariMilError, match="not plausible"):
        open_slide(slide_path, mpp=352.8)


def test_a_tiff_without_resolution_has_no_scale(paint, noise):
    slide = paint(noise, mpp=None)
    assert slide.mpp is None
    assert slide.mpp_source == "unknown"


def test_senseless_regions_are_refused_as_such(slide):
    for level, size in ((-1, (5, 5)), (7, (5, 5)), (0, (-5, 5))):
        with pytest.raises(ValueError, match="levels 0 to 0"):
            slide.read_region((0, 0), level, size)
    with pytest.raises(ValueError, match="at least one pixel"):
        slide.thumbnail((0, 10))


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "truncated", "folder", "damaged picture", "dangling link"]
)
def test_what_is_no_slide_is_refused_in_one_sentence(kind, spoil, tmp_path):
    path = tmp_path / "scan_07.svs"
    spoil(kind, path)
    with pytest.raises(UnreadableSlideError, match=r"scan_07\.svs") as caught:
        open_slide(path).read_region((0, 0), 0, (2220, 2967))
    assert "\n" not in str(caught.value)
