import itertools

import numpy as np
import pytest

from napari_mil.slides import pyramid
from napari_mil.slides.cache import PixelCache
from napari_mil.slides.levels import Level
from napari_mil.slides.pyramid import dask_pyramid


def test_a_slide_with_too_few_levels_gets_coarser_ones(slide):
    shapes = [level.shape[:2] for level in slide.levels]
    assert shapes[0] == slide.dimensions[::-1]
    assert max(shapes[-1]) <= 1000
    assert all(
        1.9 < a / b < 2.1
        for finer, coarser in itertools.pairwise(shapes)
        for a, b in zip(finer, coarser, strict=True)
    )


def test_dask_levels_have_the_same_pixels_as_the_lazy_ones(slide):
    for lazy, array in zip(slide.levels, slide.pyramid(), strict=True):
        assert array.shape == lazy.shape
        assert array.dtype == np.uint8
        assert np.array_equal(array[100:150, 200:260].compute(), lazy[100:150, 200:260])


@pytest.mark.parametrize(
    ("own", "expected"), [((480, 480), (3840, 3840)), ((512, 2048), (4096, 4096))]
)
def test_chunks_of_dask_are_some_of_the_levels_each_way(own, expected):
    level = Level(0, (20_000, 10_000), own, lambda *_: pytest.fail("read"), PixelCache(0))
    (array,) = dask_pyramid([level], "a")
    assert (array.chunks[1][0], array.chunks[0][0]) == expected
    assert array.shape == (10_000, 20_000, 3)


@pytest.mark.parametrize("chunk_px", [480, 4096])
def test_a_slice_of_a_dask_level_decodes_the_tiles_it_touches_once_and_no_others(
    slide, chunk_px, monkeypatch
):
    monkeypatch.setattr(pyramid, "DASK_CHUNK_PX", chunk_px)
    array = slide.pyramid()[0]
    store = slide._backend.store
    store.capacity = 0
    decoded = []
    tile_of = store.tile
    store.tile = lambda key, *arguments: decoded.append(key) or tile_of(key, *arguments)
    pixels = array[1700:2300, 1800:2100].compute(scheduler="synchronous")
    rows = range(1700 // 240, -(-2300 // 240))
    columns = range(1800 // 240, -(-2100 // 240))
    touched = {(0, 0, i, j, 1) for i in rows for j in columns}
    assert sorted(decoded) == sorted(touched)
    assert np.array_equal(pixels, slide.read_region((1800, 1700), 0, (300, 600)))


@pytest.mark.parametrize("downsamples", [(1,), (1, 3), (1, 4, 16)])
def test_a_landmark_lies_at_the_same_place_on_every_level(paint, downsamples):
    """World coordinates as napari has them: the level's pixel edges span the slide."""
    level0 = np.full((2501, 3203, 3), 255, np.uint8)
    level0[1000:1040, 2200:2260] = 0
    slide = paint(level0, downsamples, tile=256)
    assert len(slide.levels) > 1
    for level in slide.levels:
        dark = 255 - np.asarray(level)[..., 0].astype(float)
        rows, columns = np.indices(dark.shape)
        scale_y = level0.shape[0] / level.shape[0]
        scale_x = level0.shape[1] / level.shape[1]
        centre_y = ((rows + 0.5) * dark).sum() / dark.sum() * scale_y
        centre_x = ((columns + 0.5) * dark).sum() / dark.sum() * scale_x
        assert centre_y == pytest.approx(1020, abs=scale_y)
        assert centre_x == pytest.approx(2230, abs=scale_x)
