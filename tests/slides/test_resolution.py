import pytest

from napari_mil.slides.resolution import judge_mpp


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
    assert judge_mpp(mpp, source, None) == expected
