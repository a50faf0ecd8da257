import pytest

from napari_mil.errors import NapariMilError
from napari_mil.slides.resolution import ScaleSource, given_scale, judge_scale, scale_of


@pytest.mark.parametrize(
    ("mpp", "source", "expected"),
    [
        (0.25, "openslide", (0.25, "openslide")),
        (0.5, "tiff", (0.5, "tiff")),
        (0.00499, "tiff", (None, "implausible: 0.00499 (tiff)")),
        (352.78, "tiff", (None, "implausible: 352.8 (tiff)")),
        (None, "openslide", (None, "unknown")),
        (0.0, "tiff", (None, "unknown")),
        (float("nan"), "tiff", (None, "unknown")),
        (float("inf"), "tiff", (None, "unknown")),
    ],
)
def test_only_plausible_scales_are_believed(mpp, source, expected):
    scale = judge_scale(None if mpp is None else (mpp, mpp), ScaleSource(source))
    assert (scale.mpp, str(scale)) == expected


def test_a_users_figure_is_refused_where_no_scanner_could_have_it():
    assert given_scale(0.25).source is ScaleSource.USER
    with pytest.raises(ValueError, match=r"0\.01 µm per pixel is not plausible"):
        given_scale(0.01)


@pytest.mark.parametrize(("y", "aspect"), [(0.5, 1.0), (0.505, 1.0), (0.52, 1.04), (1.0, 2.0)])
def test_pixels_within_two_percent_of_a_square_are_square(y, aspect):
    scale = judge_scale((0.5, y), ScaleSource.TIFF)
    assert scale.xy == (0.5, y)
    assert scale.mpp == pytest.approx((0.5 + y) / 2)
    assert scale.aspect == pytest.approx(aspect)


def test_a_scale_that_is_implausible_along_one_axis_is_implausible():
    scale = judge_scale((0.5, 352.8), ScaleSource.TIFF)
    assert (scale.mpp, scale.xy, scale.implausible) == (None, None, 352.8)


def test_the_users_figure_stands_before_the_files():
    assert scale_of((0.5, 0.5), ScaleSource.OME, None).source is ScaleSource.OME
    assert scale_of((0.5, 0.5), ScaleSource.OME, 0.25).mpp == 0.25
    with pytest.raises(NapariMilError, match="not plausible"):
        scale_of(None, ScaleSource.UNKNOWN, 300)
