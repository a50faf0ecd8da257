"""Level-0 pixels and the canvas: every layer of a subject in one place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags.layout import Layout
from napari_mil.gui.model.placement import Placement
from tests.gui.model import builders as build

scales = st.one_of(st.none(), st.floats(0.05, 50))
places = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))


def edges(affine, shape):
    """Return the corners (y, x) of a layer's array on the canvas."""
    scale = np.array(affine.scale)
    first = np.array(affine.translate) - scale / 2
    return first, first + scale * shape


@given(scales, places)
def test_the_way_to_the_canvas_and_back_ends_where_it_began(mpp, place):
    placement = Placement(mpp)
    assert np.allclose(placement.level0(placement.world(place)), place, atol=1e-6)


def test_a_slide_without_scale_lies_in_pixels():
    assert (Placement().unit, Placement().units) == (1.0, ("pixel", "pixel"))
    assert (Placement(0.25).unit, Placement(0.25).units) == (0.25, ("um", "um"))


@given(scales)
def test_a_mask_covers_exactly_the_slide_it_was_made_of(mpp):
    placement = Placement(mpp)
    slide = edges(placement.pixels(), (300, 400))
    mask = edges(placement.mask((8, 10)), (30, 50))
    assert np.allclose(slide, mask)


@given(scales, st.sampled_from([1, 6]))
def test_a_lattice_of_tiles_covers_exactly_their_pixels(mpp, cell):
    placement = Placement(mpp)
    layout = build.grid_layout(2, 3, size=100.0)
    slide = edges(placement.pixels(), (200, 300))
    lattice = edges(placement.lattice(layout, cell), (2 * cell, 3 * cell))
    assert np.allclose(slide, lattice)


def test_a_lattice_starts_at_the_origin_of_its_layout():
    layout = build.grid_layout(1, 1, size=100.0, origin=(500.0, 700.0))
    first, last = edges(Placement().lattice(layout), (1, 1))
    assert np.allclose(first, (699.5, 499.5))
    assert np.allclose(last, (799.5, 599.5))


@pytest.mark.parametrize("mpp", [None, 0.25])
def test_the_centre_of_an_instance_is_over_that_instance(mpp):
    placement = Placement(mpp)
    layout = build.grid_layout()
    centres = placement.centres(layout, np.arange(6))
    assert [placement.instance_under(layout, tuple(c)) for c in centres] == list(range(6))
    assert placement.instance_under(layout, (0, *centres[4])) == 4


def test_pixels_that_are_not_square_are_drawn_at_their_shape():
    """A tile of 128 x 64 pixels of 0.25 x 0.5 µm is a square of 32 µm."""
    placement = Placement(0.25, 2.0)
    assert placement.pixels().scale == (0.5, 0.25)
    layout = Layout(
        coords=np.array([[0.0, 0.0], [128.0, 64.0]]),
        cells=np.array([[0, 0], [1, 1]]),
        shape=(2, 2),
        tile_size0=128.0,
        stride0=128.0,
        aspect=2.0,
    )
    assert layout.size0 == (128, 64)
    centres = placement.centres(layout, np.array([0, 1]))
    assert centres[1] - centres[0] == pytest.approx([32, 32])
    assert placement.lattice(layout).scale == pytest.approx((32, 32))
    for instance in (0, 1):
        assert placement.instance_under(layout, tuple(centres[instance])) == instance
    points = np.array([[3.0, 7.0], [100.0, 20.0]])
    assert placement.level0(placement.world(points)) == pytest.approx(points)
