"""The picture of the other answer shows what the canvas shows."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.gui.model.compared import compared
from napari_mil.gui.model.display import Display
from napari_mil.gui.model.linked_picture import (
    Backdrop,
    fitted_place,
    linked_picture,
    map_inks,
    read_backdrop,
    whole_backdrop,
)
from napari_mil.gui.model.subjects import Pixels, Place
from tests.gui.model import builders as build
from tests.gui.model.test_compared import two

LAYOUT = build.grid_layout(2, 2, size=100.0)


def test_what_the_canvas_shows_fits_whole_and_in_the_middle():
    place = fitted_place(Place(100, 50, 400, 200), (300, 300))
    assert (place.width, place.height) == (400, 400)
    assert place.centre == (300, 150)


def test_pixels_that_are_no_squares_are_shown_as_on_the_canvas():
    place = fitted_place(Place(0, 0, 100, 100), (200, 200), aspect=2.0)
    # A level-0 pixel is twice as high as wide.
    assert (place.width, place.height) == (200, 100)


def test_every_pixel_shows_what_lies_under_its_centre():
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, 2)
    backdrop = Backdrop(pixels, Place(0, 0, 200, 200))
    picture = linked_picture((backdrop,), Place(50, 50, 200, 200), (8, 8), LAYOUT, None)
    assert np.array_equal(picture[:6:2, :6:2, 0], pixels[1:, 1:, 0])
    assert (picture[6:] == 255).all()
    assert (picture[:, 6:] == 255).all()


def test_the_map_covers_the_pixels_as_strongly_as_its_inks():
    grey = Backdrop(np.full((2, 2, 3), 100, np.uint8), Place(0, 0, 200, 200))
    inks = np.zeros((2, 2, 4), np.uint8)
    inks[0, 1] = (200, 0, 0, 255)
    inks[1, 0] = (200, 0, 0, 51)
    picture = linked_picture((grey,), Place(0, 0, 200, 200), (2, 2), LAYOUT, inks)
    assert picture.tolist() == [[[100] * 3, [200, 0, 0]], [[120, 80, 80], [100] * 3]]


def test_finer_pixels_lie_on_top_where_they_were_read():
    coarse = Backdrop(np.zeros((1, 1, 3), np.uint8), Place(0, 0, 200, 200))
    fine = Backdrop(np.full((2, 2, 3), 9, np.uint8), Place(100, 0, 100, 100))
    picture = linked_picture((coarse, fine), Place(0, 0, 200, 200), (4, 4), LAYOUT, None)
    assert picture[..., 0].tolist() == [[0, 0, 9, 9], [0, 0, 9, 9], [0] * 4, [0] * 4]


def test_beside_everything_there_is_ground():
    picture = linked_picture((), Place(-900, -900, 10, 10), (3, 2), LAYOUT, None, ground=0)
    assert picture.shape == (2, 3, 3)
    assert not picture.any()


def pyramid():
    """Return a subject of 4000 x 3000 px, whose levels hold the number of each."""
    levels = [np.full((3000 // d, 4000 // d, 3), k, np.uint8) for k, d in enumerate((1, 4, 16))]
    return replace(build.slide_subject(), pixels=Pixels(levels, multiscale=True))


@pytest.mark.parametrize(("width", "level"), [(200, 0), (900, 1), (3900, 2)])
def test_a_view_is_read_at_the_coarsest_level_that_is_fine_enough(width, level):
    found = read_backdrop(pyramid(), Place(40, 40, width, width / 2), (200, 100))
    assert found.pixels.max() == found.pixels.min() == level
    assert found.place.x <= 40
    assert found.place.x + found.place.width >= min(40 + width, 4000)
    rows, columns = found.pixels.shape[:2]
    assert rows * columns <= 20 * 200 * 100


def test_a_view_beside_the_subject_reads_nothing_but_the_whole():
    subject = pyramid()
    found = read_backdrop(subject, Place(9000, 9000, 100, 100), (200, 100))
    assert found.pixels is whole_backdrop(subject).pixels


def test_a_slide_of_one_level_is_not_read_pixel_by_pixel():
    pixels = Pixels(np.zeros((3000, 4000, 3), np.uint8))
    subject = replace(build.slide_subject(), pixels=pixels)
    found = read_backdrop(subject, Place(0, 0, 4000, 3000), (400, 300))
    assert found.pixels.shape == (300, 400, 3)
    assert found.place == Place(0, 0, 4000, 3000)


def test_an_answer_without_a_map_has_no_inks():
    state = two()
    side = compared(state).second
    assert map_inks(state.current_subject, side, Display()).shape == (2, 3, 4)
    assert map_inks(state.current_subject, replace(side, column=None), Display()) is None
