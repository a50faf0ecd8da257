"""Cells drawn over instances: what lies in two groups shows both."""

import numpy as np

from napari_mil.exports.colours import CATEGORIES
from napari_mil.exports.glyphs import (
    CELL,
    MASK_GLYPHS,
    PATTERNS,
    Glyph,
    Group,
    cell_of,
    cluster_glyph,
    draw_groups,
)
from tests.gui.model import builders as build


def colours(cell):
    return {"#{:02X}{:02X}{:02X}".format(*pixel[:3]) for pixel in cell.reshape(-1, 4) if pixel[3]}


def test_an_instance_of_two_groups_shows_the_patterns_of_both():
    layout = build.grid_layout(2, 2)
    low, random = MASK_GLYPHS["low"], MASK_GLYPHS["random"]
    groups = [
        Group("low", low, np.array([0, 1])),
        Group("random", random, np.array([1, 2])),
    ]
    image = draw_groups(layout, groups)
    cells = image.reshape(2, CELL, 2, CELL, 4).swapaxes(1, 2)
    shown = [colours(cells[tuple(layout.cells[k])]) for k in range(4)]
    assert shown == [{low.colour}, {low.colour, random.colour}, {random.colour}, set()]


def test_twelve_colours_come_again_in_another_pattern():
    glyphs = [cluster_glyph(k) for k in range(len(CATEGORIES) * len(PATTERNS))]
    assert len(set(glyphs)) == len(glyphs) == 48
    assert {glyph.pattern for glyph in glyphs[: len(CATEGORIES)]} == {"solid"}


def test_kinds_of_masks_differ_in_pattern_and_not_in_colour_alone():
    assert len({glyph.pattern for glyph in MASK_GLYPHS.values()}) == len(MASK_GLYPHS)


def test_solid_groups_are_drawn_with_a_pixel_a_cell():
    layout = build.grid_layout(2, 3)
    solid = [Group("1", cluster_glyph(0), np.array([5]))]
    assert cell_of(solid) == 1
    image = draw_groups(layout, solid)
    assert image.shape == (2, 3, 4)
    assert np.argwhere(image[..., 3]).tolist() == [[1, 2]]


def test_one_pattern_among_the_groups_makes_every_cell_larger():
    groups = [
        Group("1", cluster_glyph(0), np.array([0])),
        Group("2", Glyph("#0072B2", "frame"), np.array([1])),
    ]
    image = draw_groups(build.grid_layout(1, 2), groups)
    assert image.shape == (CELL, 2 * CELL, 4)
    solid, frame = image[:, :CELL, 3] > 0, image[:, CELL:, 3] > 0
    assert solid.all()
    assert frame.any()
    assert not frame.all()


def test_later_groups_are_drawn_on_top():
    groups = [
        Group("1", Glyph("#112233"), np.array([0])),
        Group("2", Glyph("#445566"), np.array([0])),
    ]
    assert draw_groups(build.grid_layout(1, 1), groups)[0, 0, :3].tolist() == [0x44, 0x55, 0x66]
