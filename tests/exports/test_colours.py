"""Colours of values and classes."""

import numpy as np
import pytest

from napari_mil.exports.colours import (
    CATEGORIES,
    MAGMA,
    STRONGEST_ALPHA,
    VIRIDIS,
    WEAKEST_ALPHA,
    colour_of_class,
    shade,
)


@pytest.mark.parametrize("table", [VIRIDIS, MAGMA])
def test_the_ends_of_the_map_are_the_ends_of_the_limits(table):
    inks = shade(np.array([-5, 2, 4, 99]), 2, 4, table)
    assert np.array_equal(inks[0], inks[1])
    assert np.array_equal(inks[2], inks[3])
    assert bytes(inks[0, :3].astype(np.uint8)) == table[:3]
    assert bytes(inks[2, :3].astype(np.uint8)) == table[-3:]


def test_cover_rises_with_the_value_and_no_value_is_transparent():
    inks = shade(np.array([0, 0.5, 1, np.nan], np.float32), 0, 1)
    assert inks[:, 3].tolist() == pytest.approx(
        [WEAKEST_ALPHA, (WEAKEST_ALPHA + STRONGEST_ALPHA) / 2, STRONGEST_ALPHA, 0]
    )


def test_the_map_brightens_steadily():
    light = shade(np.linspace(0, 1, 200), 0, 1)[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > -0.5).all()


def test_classes_have_colours_of_their_own_and_then_the_first_again():
    colours = [colour_of_class(k) for k in range(len(CATEGORIES))]
    assert len(set(colours)) == len(CATEGORIES)
    assert colour_of_class(len(CATEGORIES)) == colours[0] == (0x44, 0x77, 0xAA)
