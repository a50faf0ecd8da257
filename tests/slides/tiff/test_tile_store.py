import threading

import numpy as np
import pytest

from napari_mil.slides.tiff.tile_store import TileStore

SHAPE = (16, 16, 3)
TILE_BYTES = 16 * 16 * 3


def filled(value, decoded=None):
    """Return a decoder that fills its buffer with a value."""

    def decode(buffer):
        if decoded is not None:
            decoded.append(value)
        buffer[...] = value
        return buffer

    return decode


def test_a_tile_is_decoded_once_while_it_is_kept():
    store = TileStore(10 * TILE_BYTES)
    decoded = []
    for _ in range(3):
        with store.tile("a", SHAPE, filled(7, decoded)) as tile:
            assert (tile == 7).all()
    assert decoded == [7]


def test_the_least_recently_used_tile_is_dropped_first():
    store = TileStore(2 * TILE_BYTES)
    decoded = []
    for key in (1, 2, 1, 3, 1, 2):
        with store.tile(key, SHAPE, filled(key, decoded)):
            pass
    assert decoded == [1, 2, 3, 2]
    assert store.nbytes <= 2 * TILE_BYTES


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_a_tile_in_use_is_never_written_over(capacity):
    store = TileStore(capacity * TILE_BYTES)
    with store.tile("held", SHAPE, filled(1)) as held:
        for key in range(20):
            with store.tile(key, SHAPE, filled(50 + key)) as other:
                assert (other == 50 + key).all()
        assert (held == 1).all()


def test_missing_tiles_and_tiles_of_another_shape_are_handed_on():
    store = TileStore(10 * TILE_BYTES)
    with store.tile("none", SHAPE, lambda buffer: None) as tile:
        assert tile is None
    edge = np.full((5, 7, 3), 9, np.uint16)
    with store.tile("edge", SHAPE, lambda buffer: edge) as tile:
        assert tile is edge
    with store.tile("edge", SHAPE, lambda buffer: pytest.fail("decoded again")) as tile:
        assert tile is edge


def test_after_an_error_the_next_read_tries_again():
    store = TileStore(10 * TILE_BYTES)

    def fail(buffer):
        raise OSError("damaged")

    with pytest.raises(OSError, match="damaged"), store.tile("a", SHAPE, fail):
        pass
    with store.tile("a", SHAPE, filled(3)) as tile:
        assert (tile == 3).all()


@pytest.mark.parametrize("capacity", [0, 2, 50])
def test_many_threads_see_their_own_tiles(capacity):
    store = TileStore(capacity * TILE_BYTES)
    wrong = []

    def read(seed):
        random = np.random.default_rng(seed)
        for key in random.integers(0, 30, 400).tolist():
            with store.tile(key, SHAPE, filled(key)) as tile:
                if not (tile == key).all():
                    wrong.append(key)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.nbytes <= capacity * TILE_BYTES
