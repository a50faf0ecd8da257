import numpy as np
import pytest

from napari_mil.settings import Settings
from napari_mil.slides import open_slide
from napari_mil.slides.overview import SampledOverview


class FlatBackend:
    """Giant of one level, half red and half blue, that counts decoded pixels."""

    level_dimensions = ((60_000, 40_000),)
    level_downsamples = (1.0,)
    tile_sizes = ((256, 256),)
    bounds = (0, 0, 60_000, 40_000)

    def __init__(self):
        self.associated_images = {}
        self.decoded = 0

    def read(self, level, column, row, width, height):
        self.decoded += width * height
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0 if column < 30_000 else 2] = 200
        return pixels


def test_a_giant_without_lower_levels_gets_an_overview_within_the_budget():
    backend = FlatBackend()
    picture = SampledOverview(backend, 0, budget_mp=20).window_of((938, 625))(0, 0, 625, 938)
    assert 0 < backend.decoded <= 20e6
    assert picture.shape == (625, 938, 3)
    assert picture[300, 100].tolist() == [200, 0, 0]
    assert picture[300, 900].tolist() == [0, 0, 200]


def test_opening_a_sparse_giant_reads_next_to_nothing(shared):
    with open_slide(
        shared / "data/slides/broken/sparse-54007x39429.svs", settings=Settings(tile_cache_mb=16)
    ) as slide:
        assert max(slide.levels[-1].shape) <= 1000
        assert (np.asarray(slide.levels[-1]) == 255).mean() > 0.99


def test_a_thumbnail_is_the_area_average_of_the_whole_slide(paint):
    level0 = np.zeros((512, 768, 3), np.uint8)
    # Stripes average to 100 whatever is sampled.
    level0[::2] = 200
    thumbnail = paint(level0).thumbnail((96, 96))
    assert thumbnail.shape == (64, 96, 3)
    assert np.abs(thumbnail.astype(int) - 100).max() <= 1


def test_a_thumbnail_at_a_fractional_downsample_keeps_landmarks_in_place(paint):
    level0 = np.full((600, 1000, 3), 255, np.uint8)
    level0[300:360, 700:760] = 0
    dark = 255 - paint(level0).thumbnail((137, 137))[..., 0].astype(float)
    rows, columns = np.indices(dark.shape)
    scale = 1000 / 137
    assert ((columns + 0.5) * dark).sum() / dark.sum() * scale == pytest.approx(730, abs=scale / 2)
    assert ((rows + 0.5) * dark).sum() / dark.sum() * 600 / dark.shape[0] == pytest.approx(
        330, abs=scale / 2
    )
