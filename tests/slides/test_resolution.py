import pytest

from napari_mil.slides.resolution import ScaleSource, given_scale, judge_scale


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
    scale = judge_scale(mpp, ScaleSource(source))
    assert (scale.mpp, str(scale)) == expected


def test_a_users_figure_is_refused_where_no_scanner_could_have_it():
    assert given_scale(0.25).source is ScaleSource.USER
    with pytest.raises(ValueError, match=r"0\.01 µm per pixel is not plausible"):
        given_scale(0.01)
