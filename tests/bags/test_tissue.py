import numpy as np
import pytest

from napari_mil.bags import TissueMask, tissue_mask
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken

PINK, GLASS = (205, 120, 180), (243, 242, 244)


def with_blob(background, tissue, shape=(1024, 1280), noise=2):
    pixels = np.empty((*shape, 3))
    pixels[:] = background
    pixels[300:700, 400:900] = tissue
    return np.clip(pixels + np.random.default_rng(0).normal(0, noise, pixels.shape), 0, 255).astype(
        np.uint8
    )


def mask_and_extent(paint, pixels):
    mask = tissue_mask(paint(pixels, tile=256))
    rows, columns = np.nonzero(mask.mask)
    across, down = mask.downsample
    return mask, (
        rows.min() * down,
        (rows.max() + 1) * down,
        columns.min() * across,
        (columns.max() + 1) * across,
    )


@pytest.mark.parametrize(
    ("background", "tissue"),
    [
        pytest.param(GLASS, PINK, id="common"),
        pytest.param(GLASS, (238, 224, 234), id="pale stain"),
        pytest.param((120, 119, 121), (98, 60, 88), id="dark scan"),
        pytest.param((236, 230, 214), (190, 120, 150), id="yellowish glass"),
        pytest.param((255, 255, 255), (60, 30, 90), id="dark stain"),
        pytest.param((0, 0, 0), PINK, id="black canvas"),
    ],
)
def test_tissue_is_found_where_it_is(paint, background, tissue):
    mask, (top, bottom, left, right) = mask_and_extent(paint, with_blob(background, tissue))
    assert (top, bottom, left, right) == pytest.approx((300, 700, 400, 900), abs=12)
    assert mask.fraction == pytest.approx(400 * 500 / (1024 * 1280), rel=0.05)


def test_glass_without_tissue_has_none(paint):
    assert tissue_mask(paint(with_blob(GLASS, GLASS), tile=256)).fraction == 0


def test_a_slide_that_is_all_tissue_is_found_whole(paint):
    two_shades = with_blob(PINK, (160, 80, 150))
    assert tissue_mask(paint(two_shades, tile=256)).fraction > 0.99


def test_a_label_mask_is_no_tissue(paint):
    assert tissue_mask(paint(with_blob((0, 0, 0), (2, 2, 2), noise=0), tile=256)).fraction == 0


def test_dust_is_left_out(paint):
    pixels = with_blob(GLASS, PINK)
    pixels[100:110, 100:110] = PINK
    _mask, (top, *_) = mask_and_extent(paint, pixels)
    assert top > 250


def test_real_tissue_and_real_glass_are_told_apart(slide):
    mask = tissue_mask(slide)
    assert 0.25 < mask.fraction < 0.5
    corners = np.array([[60.0, 2000.0], [900.0, 1800.0]])
    glass, tissue = mask.coverage(corners, 200)
    assert glass == pytest.approx(0, abs=0.01)
    assert tissue > 0.9


def test_coverage_counts_parts_of_mask_pixels():
    mask = TissueMask(np.array([[False, True], [False, True]]), (10.0, 10.0))
    corners = np.array([[5.0, 0.0], [0.0, 0.0], [10.0, 10.0], [15.0, 0.0]])
    assert mask.coverage(corners, 10.0) == pytest.approx([0.5, 0, 1, 0.5])


def test_looking_for_tissue_can_be_cancelled(slide):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        tissue_mask(slide, token)
