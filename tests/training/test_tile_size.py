import numpy as np
import pytest

from napari_mil.training.tile_size import FEWEST_TILES, SMALLEST_DEFAULT_TILE, fitting_tile_px
from tests.conftest import write_pyramid


@pytest.fixture
def slides(tmp_path):
    """Slides of 512 px at 0.5 µm per pixel, one without scale."""
    pixels = np.full((512, 512, 3), 200, np.uint8)
    scales = (0.5, 0.5, None)
    return [write_pyramid(tmp_path / f"{k}.tiff", pixels, mpp=mpp) for k, mpp in enumerate(scales)]


def test_tiles_shrink_until_the_median_slide_holds_enough(slides):
    px = fitting_tile_px(slides, 224, 0.5, smallest=32)
    assert px == 112
    assert (512 / px) ** 2 >= FEWEST_TILES > (512 / 224) ** 2


def test_tiles_that_fit_stay(slides):
    assert fitting_tile_px(slides, 128, 0.5, smallest=32) == 128


def test_tiles_stay_as_large_as_the_encoder_needs(slides):
    assert fitting_tile_px(slides, 224, 0.5, smallest=200) == 224
    assert fitting_tile_px(slides, 512, 8.0, smallest=1) == SMALLEST_DEFAULT_TILE


def test_slides_without_scale_count_where_one_is_assumed(slides):
    assert fitting_tile_px(slides[2:], 224, 0.5, smallest=32) == 224
    assert fitting_tile_px(slides[2:], 224, 0.5, smallest=32, slide_mpp=0.5) == 112


def test_a_slide_that_cannot_be_opened_does_not_count(slides, tmp_path):
    (tmp_path / "broken.svs").write_text("no slide")
    assert fitting_tile_px([tmp_path / "broken.svs"], 224, 0.5, smallest=32) == 224
    assert fitting_tile_px([tmp_path / "broken.svs", *slides], 224, 0.5, smallest=32) == 112
