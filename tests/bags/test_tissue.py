import tracemalloc

import numpy as np
import pytest

from napari_mil.bags import TissueMask, TissueMethod, tile_grid, tissue_mask
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.findings import FindingKind
from napari_mil.slides import open_slide

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


def kinds_of(mask):
    return {finding.kind for finding in mask.findings}


def test_pen_marks_are_left_out_and_said(paint):
    pixels = with_blob(GLASS, PINK)
    pixels[100:140, 200:1100] = (30, 60, 180)
    slide = paint(pixels, tile=256)
    mask = tissue_mask(slide)
    assert kinds_of(mask) == {FindingKind.PEN_MARKS}
    (finding,) = mask.findings
    assert "pen marks left out" in finding.text
    assert finding.path == slide.path
    assert mask.coverage(np.array([[200.0, 100.0], [400.0, 300.0]]), 40) == pytest.approx([0, 1])


def test_a_field_with_hardly_any_tissue_is_remarked(paint):
    pixels = with_blob(GLASS, GLASS)
    pixels[300:400, 400:500] = PINK
    assert kinds_of(tissue_mask(paint(pixels, tile=256))) == {FindingKind.UNUSUAL_TISSUE}


def test_a_slide_that_is_nearly_all_tissue_is_remarked_and_a_field_is_not(paint):
    two_shades = with_blob(PINK, (160, 80, 150))
    field = tissue_mask(paint(two_shades, tile=256))
    assert (field.method, field.findings) == (TissueMethod.WHOLE_FIELD, ())
    whole = tissue_mask(paint(two_shades, tile=256, mpp=8.0, name="whole.tiff"))
    assert kinds_of(whole) == {FindingKind.UNUSUAL_TISSUE}


def test_a_mask_made_by_hand_says_so():
    mask = TissueMask(np.ones((2, 2), bool), (1.0, 1.0))
    assert (mask.method, mask.findings) == (TissueMethod.DRAWN, ())


@pytest.mark.parametrize("mpp", [0.25, 0.5, None])
def test_scale_of_the_slide_does_not_change_what_is_tissue(paint, mpp):
    mask = tissue_mask(paint(with_blob(GLASS, PINK), tile=256, mpp=mpp))
    assert mask.fraction == pytest.approx(400 * 500 / (1024 * 1280), rel=0.05)


def test_pen_marks_take_no_tiles(shared):
    numbers = []
    for name in ("no-pen.tif", "pen.tif"):
        with open_slide(shared / "cases/32-pen-marks" / name) as slide:
            mask = tissue_mask(slide)
            numbers.append(len(tile_grid(slide, 64, 0.5, mask=mask)))
        assert (FindingKind.PEN_MARKS in kinds_of(mask)) == (name == "pen.tif")
    assert numbers == pytest.approx([96, 96], abs=5)


def test_coverage_takes_a_few_bytes_a_mask_pixel():
    mask = TissueMask(np.ones((1500, 1500), bool), (10.0, 10.0))
    tracemalloc.start()
    try:
        mask.coverage(np.zeros((1, 2)), 100.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * mask.mask.size
