import numpy as np

from napari_mil.slides.window import is_stored, read_window, stored_extent


class GreyBackend:
    """Grey slide of two levels whose stored part begins at (100, 40) of level 0."""

    level_dimensions = ((400, 200), (100, 50))
    level_downsamples = (1.0, 4.0)
    bounds = (100, 40, 200, 100)

    def __init__(self):
        self.reads = []

    def read(self, level, column, row, width, height):
        self.reads.append((column, row, width, height))
        return np.full((height, width, 3), 90, np.uint8)


def test_the_stored_extent_is_in_pixels_of_the_level():
    assert stored_extent(GreyBackend(), 0) == (100, 40, 300, 140)
    assert stored_extent(GreyBackend(), 1) == (25, 10, 75, 35)


def test_a_window_over_the_edge_of_the_stored_part_is_white_there():
    backend = GreyBackend()
    window = read_window(backend, 1, 20, 5, 10, 10)
    assert backend.reads == [(25, 10, 5, 5)]
    assert (window[5:, 5:] == 90).all()
    assert (window[:5] == 255).all()
    assert (window[:, :5] == 255).all()


def test_a_window_without_stored_pixels_is_not_read():
    backend = GreyBackend()
    assert not is_stored(backend, 0, 0, 0, 100, 40)
    assert is_stored(backend, 0, 0, 0, 101, 41)
    assert (read_window(backend, 0, 0, 0, 100, 40) == 255).all()
    assert backend.reads == []
