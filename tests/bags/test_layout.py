"""Where the instances of a bag lie."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags import Bag, TileGrid
from napari_mil.bags.layout import Layout, layout_of_bag, layout_of_grid, layout_of_images
from tests.gui.model import builders as build


def bag_of(coords, tile_size0=None):
    coords = np.array(coords)
    return Bag(np.zeros((len(coords), 2), np.float32), coords, tile_size0)


def every_instance_is_found(layout):
    centres = layout.coords + layout.tile_size0 / 2
    return [layout.instance_at(x, y) for x, y in centres] == list(range(len(layout)))


@given(st.integers(1, 50), st.floats(1, 500))
def test_every_image_is_found_in_its_cell(n, cell):
    layout = layout_of_images(n, cell)
    rows, columns = layout.shape
    assert rows * columns >= n
    assert columns - rows in (0, 1)
    assert every_instance_is_found(layout)


def test_tiles_of_a_grid_lie_where_the_grid_says():
    cells = np.array([(0, 0), (0, 2), (1, 1)])
    coords = np.round(cells[:, ::-1] * 100.4).astype(int)
    grid = TileGrid(coords, cells, (2, 3), 256, 0.5, 100.4, 100.4, 0)
    layout = layout_of_grid(grid)
    assert np.abs(layout.coords - coords).max() <= 0.5
    assert every_instance_is_found(layout)
    assert layout.instance_at(150, 50) is None


def test_tiles_that_overlap_are_found_by_the_cell_around_their_centre():
    cells = np.array([(0, 0), (0, 1)])
    grid = TileGrid(cells[:, ::-1] * 50, cells, (1, 2), 256, 0.5, 100.0, 50.0, 0)
    layout = layout_of_grid(grid)
    assert layout.instance_at(74, 50) == 0
    assert layout.instance_at(76, 50) == 1


@pytest.mark.parametrize("place", [(-1, 10), (10, -1), (1501, 10), (10, 1001)])
def test_beside_the_lattice_there_is_no_instance(place):
    assert build.grid_layout(2, 3).instance_at(*place) is None


def test_a_bag_without_coordinates_is_arranged_in_a_square():
    layout = layout_of_bag(Bag(np.zeros((5, 2), np.float32)))
    assert layout.shape == (2, 3)


def test_a_bag_with_coordinates_starts_where_they_start():
    layout = layout_of_bag(bag_of([(1000, 500), (1100, 500), (1000, 600)], 100.0))
    assert (layout.origin, layout.shape) == ((1000.0, 500.0), (2, 2))
    assert every_instance_is_found(layout)


def test_rounded_coordinates_keep_one_instance_a_cell():
    exact = np.stack(np.divmod(np.arange(60), 10), 1) * 100.37
    layout = layout_of_bag(bag_of(np.round(exact).astype(int), 100.37))
    assert layout.shape == (10, 6)
    assert len(np.unique(layout.cells, axis=0)) == 60


def test_tiles_far_apart_keep_the_size_of_a_tile_as_cell():
    layout = layout_of_bag(bag_of([(0, 0), (900, 0)], 100.0))
    assert layout.stride0 == 100.0


def test_a_single_tile_has_a_cell_of_its_own():
    assert layout_of_bag(bag_of([(70, 30)])).shape == (1, 1)
    assert layout_of_bag(bag_of([(70, 30)], 224.0)).stride0 == 224.0


def test_values_are_spread_into_their_cells_and_the_rest_is_unknown():
    layout = build.grid_layout(2, 2)
    image = layout.spread(np.array([0, 3]), np.array([0.5, 1.0]))
    assert np.array_equal(image, [[0.5, np.nan], [np.nan, 1.0]], equal_nan=True)


def test_layouts_are_the_same_where_every_instance_lies_in_the_same_place():
    layout = build.grid_layout()
    assert layout.covers_the_same_as(build.grid_layout())
    assert not layout.covers_the_same_as(replace(layout, tile_size0=100.0))
    assert not layout.covers_the_same_as(build.grid_layout(3, 2))


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.25, 1 / 3, 0.5]))
def test_overlapping_tiles_share_their_mean_where_they_overlap(seed, overlap):
    """Every element has the mean of the tiles that cover its centre."""
    random = np.random.default_rng(seed)
    cells = np.argwhere(random.random((4, 5)) < 0.7)
    if not len(cells):
        return
    stride, parts = 60.0, 12
    tile = stride / (1 - overlap)
    layout = Layout(cells[:, ::-1] * stride, cells, (4, 5), tile, stride)
    values = random.normal(size=len(cells)).astype(np.float32)
    values[0] = np.nan
    means = layout.spread_mean(values, parts)
    assert means.shape == (4 * parts, 5 * parts)
    inset = (tile - stride) / 2
    for row, column in random.integers(0, (4 * parts, 5 * parts), (40, 2)):
        x = inset + (column + 0.5) * stride / parts
        y = inset + (row + 0.5) * stride / parts
        covered = (layout.coords <= (x, y)).all(1) & ((x, y) < layout.coords + tile).all(1)
        known = values[covered & ~np.isnan(values)]
        if len(known):
            assert means[row, column] == pytest.approx(known.mean(), abs=1e-5)
        else:
            assert np.isnan(means[row, column])


def test_tiles_side_by_side_keep_their_own_values():
    layout = Layout(np.array([[0.0, 0.0], [10.0, 10.0]]), np.eye(2, dtype=int), (2, 2), 10, 10)
    values = np.array([1.0, 2.0], np.float32)
    means = layout.spread_mean(values, 1)
    np.testing.assert_array_equal(means, layout.spread(np.arange(2), values))


def test_instances_under_many_points_are_those_whose_cells_hold_them():
    layout = build.grid_layout(3, 4)
    points = np.random.default_rng(0).uniform(-300, 2500, (5, 400, 2))
    found = layout.instances_at(points)
    inside = points[..., None, :] - layout.coords
    expected = ((inside >= 0) & (inside < 500)).all(-1)
    assert np.array_equal(found >= 0, expected.any(-1))
    assert np.array_equal(found[found >= 0], expected.argmax(-1)[found >= 0])
    assert len(np.unique(found)) == 13


def test_centres_lie_in_the_cells_of_their_instances():
    layout = build.grid_layout(3, 4)
    assert np.array_equal(layout.instances_at(layout.centres()), np.arange(12))
