"""Pixels of instances and of what lies around them."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil import open_slide
from napari_mil.bags.layout import layout_of_coords
from napari_mil.gui.closeups import (
    MOST_PX,
    instance_pixels,
    instance_thumbnail,
    read_closeup,
    read_surroundings,
)
from tests.conftest import write_pyramid
from tests.gui.model.builders import slide_subject


def test_an_instance_of_a_slide_is_read_at_full_resolution_and_an_image_by_its_number():
    slide = MagicMock()
    layout = layout_of_coords(np.array([[500.5, 20.0]]), 255.6)
    instance_pixels(slide_subject(slide=slide), layout, 0)
    slide.read_region.assert_called_once_with((500.5, 20.0), 0, (256, 256))
    images = MagicMock()
    subject = SimpleNamespace(images=images, slide=None)
    assert instance_pixels(subject, layout, 3) is images.read.return_value
    images.read.assert_called_once_with(3)


@pytest.fixture
def marked_slide(tmp_path):
    """A grey pyramid with one red tile."""
    pixels = np.full((1024, 1536, 3), 128, np.uint8)
    pixels[512:576, 640:704] = (255, 0, 0)
    path = tmp_path / "marked.tiff"
    write_pyramid(path, pixels)
    with open_slide(path) as slide:
        yield slide


def test_the_instance_is_in_the_middle_of_what_lies_around_it(marked_slide):
    layout = layout_of_coords(np.array([[640.0, 512.0]]), 64.0)
    near, far = read_surroundings(marked_slide, layout, 0)
    for around in (near, far):
        side = len(around.pixels)
        red = (around.pixels[..., 0] > 200) & (around.pixels[..., 1] < 60)
        rows, columns = np.nonzero(red)
        expected = side / 2 - side / around.factor / 2
        assert rows.min() == pytest.approx(expected, abs=2)
        assert columns.min() == pytest.approx(expected, abs=2)
        assert rows.max() + 1 == pytest.approx(side / 2 + side / around.factor / 2, abs=2)
    assert near.factor < far.factor


def test_large_instances_come_to_the_gallery_at_a_coarser_level(marked_slide):
    layout = layout_of_coords(np.array([[0.0, 0.0]]), 1024.0)
    subject = slide_subject(slide=marked_slide)
    assert instance_pixels(subject, layout, 0).shape == (1024, 1024, 3)
    assert max(instance_thumbnail(subject, layout, 0).shape) <= MOST_PX


def test_likeness_is_found_where_the_features_are_at_hand(marked_slide):
    layout = layout_of_coords(np.array([[0.0, 0.0], [64.0, 0.0], [128.0, 0.0]]), 64.0)
    subject = slide_subject(slide=marked_slide)
    features = np.array([[1.0, 0.0], [-1.0, 0.2], [0.9, 0.1]], np.float32)
    assert read_closeup(subject, layout, 0, features).nearest.instances == (2, 1)
    assert read_closeup(subject, layout, 0, features).likeness[0] == 1
    assert read_closeup(subject, layout, 0, None).nearest is None
    assert read_closeup(subject, layout, 0, None).likeness is None
