"""What lies around the view is read before it is looked at."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from napari_mil.errors import UnreadableSlideError
from napari_mil.gui.read_ahead import RingReader, shown_window
from napari_mil.gui.reader import GuardedLevel
from napari_mil.slides.cache import PixelCache
from napari_mil.slides.levels import Level


def level_of(read, cache_bytes=10**7):
    return Level(0, (1000, 800), (100, 100), read, PixelCache(cache_bytes))


@pytest.fixture
def reader():
    made = RingReader()
    yield made
    made.close()


def white(row, column, height, width):
    return np.full((height, width, 3), 255, np.uint8)


def test_the_ring_is_read_once_and_the_view_and_the_rest_are_not(reader):
    asked = []

    def read(row, column, height, width):
        asked.append((row, column))
        return white(row, column, height, width)

    level = level_of(read)
    reader.want(level, (300, 500, 400, 600))
    assert reader.wait(10)
    expected = {(r, c) for r in range(200, 600, 100) for c in range(300, 700, 100)}
    expected -= {(r, c) for r in (300, 400) for c in (400, 500)}
    assert set(asked) == expected
    reader.want(level, (300, 500, 400, 600))
    assert reader.wait(10)
    assert len(asked) == len(expected), "they are in the cache"


def test_the_newest_window_is_read_and_the_rest_of_an_earlier_ring_is_not(reader):
    first = threading.Event()
    go_on = threading.Event()
    asked = []

    def read(row, column, height, width):
        asked.append((row, column))
        first.set()
        assert go_on.wait(10)
        return white(row, column, height, width)

    level = level_of(read)
    reader.want(level, (0, 100, 0, 100))
    assert first.wait(10)
    reader.want(level, (700, 800, 900, 1000))
    go_on.set()
    assert reader.wait(10)
    assert len([place for place in asked if max(place) <= 100]) == 1
    assert (600, 800) in asked


def test_pixels_that_cannot_be_read_end_a_ring_and_not_the_reader(reader):
    faulty = True

    def read(row, column, height, width):
        if faulty:
            raise UnreadableSlideError("It is gone.")
        return white(row, column, height, width)

    level = level_of(read)
    reader.want(level, (0, 100, 0, 100))
    assert reader.wait(10)
    faulty = False
    reader.want(level, (0, 100, 0, 100))
    assert reader.wait(10)


def test_a_closed_reader_has_no_thread_left():
    reader = RingReader()
    reader.close()
    assert not reader._thread.is_alive()


def test_the_window_that_a_layer_shows_is_in_pixels_of_its_level():
    level = level_of(white)
    coarsest = np.zeros((80, 100, 3), np.uint8)
    layer = SimpleNamespace(
        data=[GuardedLevel(level, lambda error: None), coarsest],
        data_level=0,
        corner_pixels=np.array([[100, 200], [299, 399]]),
    )
    assert shown_window(layer) == (level, (100, 300, 200, 400))
    layer.data_level = 1
    assert shown_window(layer) is None
