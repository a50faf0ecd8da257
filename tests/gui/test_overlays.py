import numpy as np
import pytest

from napari_mil.bags import TissueMask, tile_grid
from napari_mil.gui.overlays import (
    OverlaySpec,
    hover_text,
    lattice,
    overlay_arguments,
    overlay_specs,
    shown_values,
    tissue_arguments,
)
from napari_mil.gui.reader import slide_arguments, slide_layer


def test_scores_stand_in_front_where_there_are_any():
    specs = overlay_specs(["attention", "score_no", "score_yes"], ("no", "yes"))
    assert [(spec.title, spec.scale, spec.visible) for spec in specs] == [
        ("attention", "rank", False),
        ("score: yes", "raw", True),
    ]
    assert [spec.visible for spec in overlay_specs(["attention"], ("no", "yes"))] == [True]
    many = overlay_specs(
        ["attention_a", "attention_b", "attention_c", "score_a", "score_b", "score_c"],
        ("a", "b", "c"),
    )
    assert [spec.title for spec in many] == [
        "attention: a",
        "attention: b",
        "attention: c",
        "score: a",
        "score: b",
        "score: c",
    ]
    assert sum(spec.visible for spec in many) == 1


def test_ranks_spread_over_the_whole_scale_and_ties_share_one():
    spec = OverlaySpec("attention", "attention", "rank", True)
    assert shown_values(spec, np.array([0.5, 0.1, 0.1, 0.3], np.float32)) == pytest.approx(
        [1, 1 / 6, 1 / 6, 2 / 3]
    )
    assert shown_values(spec, np.array([0.5], np.float32)) == 1


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("mpp", [0.499, 0.73])
def test_every_element_lies_over_the_middle_of_the_pixels_its_tile_covers(slide, overlap, mpp):
    """Mean colour of every tile, as the encoder gets it, against the slide read at the element's own world coordinates."""
    grid = tile_grid(slide, 100, mpp, overlap=overlap)
    some = np.arange(0, len(grid), 37)
    image = lattice(grid, some, np.array([grid.read(slide, int(i)).mean() for i in some]))
    arguments, of_slide = overlay_arguments(slide, grid), slide_arguments(slide)
    width, height = slide.dimensions
    for i in some:
        row, column = grid.cells[i]
        world = np.array([row, column]) * arguments["scale"] + arguments["translate"]
        centre = world / of_slide["scale"] + 0.5  # (y, x) in level-0 pixel edges
        corner = centre - grid.tile_size0 / 2
        assert corner[::-1] == pytest.approx(grid.coords[i], abs=0.51)
        if (corner + grid.tile_size0 < (height, width)).all():
            covered = slide.read_region(corner[::-1], 0, (round(grid.tile_size0),) * 2).mean()
            assert image[row, column] == pytest.approx(covered, abs=2)


def test_the_picture_of_the_overlay_is_the_picture_of_the_slide(bench, paint):
    """A slide of solid tiles, drawn by napari: overlay alone and slide alone give the same pixels, edges included."""
    shades = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    level0 = np.repeat(np.kron(shades, np.ones((100, 100), np.uint8))[..., None], 3, 2)
    slide = paint(level0, mpp=0.5, tile=256)
    grid = tile_grid(slide, 80, 0.625)  # 100 level-0 pixels
    data, arguments, _ = slide_layer(slide)
    viewer = bench.viewer
    below = viewer.add_image(data, **{**arguments, "metadata": {}})
    values = np.array([grid.read(slide, i).mean() for i in range(len(grid))])
    above = viewer.add_image(
        lattice(grid, np.arange(len(grid)), values),
        contrast_limits=(0, 255),
        colormap="gray",
        interpolation2d="nearest",
        **overlay_arguments(slide, grid),
    )
    viewer.reset_view()
    pictures = []
    for shown, hidden in ((below, above), (above, below)):
        shown.visible, hidden.visible = True, False
        pictures.append(viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int))
    assert (np.abs(pictures[0] - pictures[1]).max(2) > 4).mean() < 0.004


def test_a_tissue_mask_covers_its_slide(slide):
    mask = TissueMask(np.ones((30, 20), bool), (2220 / 20, 2967 / 30))
    arguments = tissue_arguments(slide, mask)
    first_edge = np.array(arguments["translate"]) - np.array(arguments["scale"]) / 2
    assert first_edge == pytest.approx([-0.499 / 2] * 2)
    assert first_edge + np.array(arguments["scale"]) * (30, 20) == pytest.approx(
        (np.array([2967, 2220]) - 0.5) * 0.499
    )


def test_hovering_says_value_rank_and_tile(slide):
    grid = tile_grid(slide, 100, 0.499)
    values = np.linspace(0, 1, len(grid)).astype(np.float32)
    values[5] = np.nan
    spec = OverlaySpec("attention", "attention", "rank", True)
    x, y = (grid.coords[30] + 50) * 0.499
    assert (
        hover_text(grid, slide, spec, values, (0, y, x))
        == f"attention {values[30]:.3g} · rank {len(grid) - 30} of {len(grid) - 1} · tile 30"
    )
    x, y = (grid.coords[5] + 50) * 0.499
    assert hover_text(grid, slide, spec, values, (y, x)) == "", "no value yet"
    assert hover_text(grid, slide, spec, values, (-50.0, -50.0)) == ""
