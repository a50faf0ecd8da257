"""Tiles of the whole tissue come first, few of them, then those in view, then the rest."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags import tile_grid
from napari_mil.inference.visiting import COARSE_TILES, visiting_order


def test_every_tile_is_visited_once_whatever_is_in_view(slide):
    grid = tile_grid(slide, 32, 0.5)
    for focus in ((0.0, 0.0), (500.0, 700.0, 300.0, 200.0), (-1e6, 0.0, 10.0, 10.0)):
        assert sorted(visiting_order(grid, focus)) == list(range(len(grid)))


def test_a_few_tiles_of_the_whole_slide_come_first(slide):
    grid = tile_grid(slide, 32, 0.5)
    order = visiting_order(grid, (0.0, 0.0, 400.0, 400.0))
    assert len(grid) > 10 * COARSE_TILES
    first = grid.coords[order[:COARSE_TILES]]
    covered = (first.max(0) - first.min(0)) / slide.dimensions
    assert (covered > 0.7).all()


def test_what_is_in_view_comes_before_the_rest_from_coarse_to_fine_and_outwards(slide):
    grid = tile_grid(slide, 32, 0.5)
    view = np.array([600.0, 800.0, 500.0, 400.0])
    order = visiting_order(grid, tuple(view))
    centres = grid.coords[order] + grid.tile_size0 / 2
    inside = ((centres >= view[:2]) & (centres <= view[:2] + view[2:])).all(1)
    last = np.flatnonzero(inside).max()
    # Before the last tile in view come those of the first pass, and tiles in view.
    assert last < COARSE_TILES + inside.sum()
    finest = np.flatnonzero(inside)[-20:]
    distance = np.hypot(*(centres[finest] - view[:2] - view[2:] / 2).T)
    assert (np.diff(distance) >= 0).all()
    seen = centres[np.flatnonzero(inside)[: inside.sum() // 3]]
    assert (np.ptp(seen, axis=0) > 0.8 * view[2:]).all(), "the view too goes from coarse to fine"


def test_a_slide_of_few_tiles_is_visited_outwards(slide):
    grid = tile_grid(slide, 256, 0.5)
    order = visiting_order(grid, (1000.0, 1500.0))
    distance = np.hypot(*(grid.coords[order] + grid.tile_size0 / 2 - (1000, 1500)).T)
    assert (np.diff(distance) >= 0).all()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10**6))
def test_any_tissue_has_an_order(rows, columns, seed):
    kept = np.random.default_rng(seed).random((rows, columns)) < 0.5
    kept[0, 0] = True
    cells = np.argwhere(kept)
    grid = SimpleNamespace(cells=cells, coords=cells[:, ::-1] * 100, tile_size0=100.0, aspect=1.0)
    assert sorted(visiting_order(grid, (3.0, 4.0, 500.0, 500.0))) == list(range(len(cells)))
