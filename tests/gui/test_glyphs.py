"""Cells drawn over tiles: what lies in two groups shows both."""

import numpy as np

from napari_mil import open_slide, tile_grid
from napari_mil.gui.glyphs import MASK_GLYPHS, PATTERNS, cluster_glyph, draw_groups


def colours(cell):
    return {"#{:02X}{:02X}{:02X}".format(*pixel[:3]) for pixel in cell.reshape(-1, 4) if pixel[3]}


def test_a_tile_of_two_groups_shows_the_patterns_of_both(slide_path):
    with open_slide(slide_path) as slide:
        grid = tile_grid(slide, tile_px=512, mpp=0.5)
    low, random = MASK_GLYPHS["low"], MASK_GLYPHS["random"]
    image = draw_groups(grid, [(low, np.array([0, 1])), (random, np.array([1, 2]))])
    rows, columns = grid.shape
    cells = image.reshape(rows, image.shape[0] // rows, columns, -1, 4).swapaxes(1, 2)
    shown = [colours(cells[tuple(grid.cells[k])]) for k in range(4)]
    assert shown == [{low.colour}, {low.colour, random.colour}, {random.colour}, set()]


def test_twelve_colours_come_again_in_another_pattern():
    glyphs = [cluster_glyph(k) for k in range(12 * len(PATTERNS))]
    assert len(set(glyphs)) == len(glyphs)
