import threading
from pathlib import Path

import numpy as np
import pytest

from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.findings import Finding, FindingKind
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide
from napari_mil.slides.resolution import Scale, given_scale


class SparseBackend:
    """Slide whose stored part begins at (100, 40) of level 0."""

    level_dimensions = ((400, 200),)
    level_downsamples = (1.0,)
    bounds = (100, 40, 200, 100)

    def close(self):
        pass


@pytest.fixture
def sparse():
    with Slide(Path("sparse.mrxs"), SparseBackend(), Scale(), Settings()) as opened:
        yield opened


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


def test_an_implausible_scale_is_a_finding_until_the_user_corrects_it(paint, noise):
    slide = paint(noise, mpp=352.8)
    (finding,) = slide.warnings
    assert isinstance(finding, Finding)
    assert (finding.kind, finding.path) == (FindingKind.UNCERTAIN_SCALE, slide.path)
    assert "352.8 µm per pixel" in finding.text
    with slide.with_mpp(0.5) as corrected:
        assert corrected.warnings == ()


def test_the_files_own_scale_comes_back_when_the_users_is_withdrawn(slide):
    with slide.with_mpp(0.25) as corrected, corrected.with_mpp(None) as restored:
        assert restored.scale == slide.scale


@pytest.mark.parametrize("twin_first", [False, True])
@pytest.mark.parametrize("make_twin", ["with_scale", "with_mpp"])
def test_rescaled_twins_share_a_file_that_the_last_of_them_closes(
    slide_path, make_twin, twin_first
):
    slide = open_slide(slide_path)
    twin = slide.with_mpp(0.25) if make_twin == "with_mpp" else slide.with_scale(given_scale(0.25))
    assert (slide.mpp, twin.mpp) == (0.499, 0.25)
    assert twin.fingerprint == slide.fingerprint
    first, last = (twin, slide) if twin_first else (slide, twin)
    first.close()
    first.close()
    assert last.read_region((700, 900), 0, (30, 20)).shape == (20, 30, 3)
    last.close()
    with pytest.raises(UnreadableSlideError, match="was closed"):
        last.read_region((700, 900), 0, (30, 20))


def test_the_origin_is_the_corner_of_the_stored_part(slide, sparse):
    assert slide.origin == (0, 0)
    assert sparse.origin == (100, 40)


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
