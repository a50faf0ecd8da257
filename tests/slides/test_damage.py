import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.slides.damage import HATCH_GREY, Damage

coordinates = st.integers(0, 60)
boxes = st.tuples(coordinates, coordinates, st.integers(1, 30), st.integers(1, 30)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


def damage_of(found, level=0):
    damage = Damage()
    for box in found:
        damage.add(level, tuple(map(float, box)), "reason")
    return damage


@given(
    st.lists(boxes, max_size=8),
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=30),
    st.tuples(st.floats(0.5, 25), st.floats(0.5, 25)),
)
def test_rectangles_are_touched_as_comparing_each_with_each_box_says(found, corners, size):
    corners = np.array(corners)
    expected = [
        any(
            x < right and x + size[0] > left and y < bottom and y + size[1] > top
            for left, top, right, bottom in found
        )
        for x, y in corners
    ]
    assert damage_of(found).touches(0, corners, size).tolist() == expected


def test_boxes_are_those_of_a_level_each_once_and_new_ones_are_seen():
    damage = damage_of([(0, 0, 10, 10), (0, 0, 10, 10)])
    assert damage.boxes(0).tolist() == [[0, 0, 10, 10]]
    assert damage.boxes(1).shape == (0, 4)
    damage.add(0, (10.0, 0.0, 20.0, 10.0), "another reason")
    assert len(damage.boxes(0)) == len(damage) == 2
    assert damage.reason == "reason"


@pytest.mark.parametrize("downsample", [1.0, 2.5, 4.0])
def test_the_unreadable_part_of_a_window_is_hatched_and_nothing_else(downsample):
    damage = damage_of([(100, 200, 180, 300), (5000, 0, 5100, 50)])
    pixels = np.full((200, 160, 3), 7, np.uint8)
    damage.hatch(pixels, 0, 10, 20, downsample)
    left, top, right, bottom = (round(side / downsample) for side in (100, 200, 180, 300))
    inside = np.zeros(pixels.shape[:2], bool)
    inside[max(top - 20, 0) : max(bottom - 20, 0), max(left - 10, 0) : max(right - 10, 0)] = True
    assert inside.any()
    assert set(np.unique(pixels[inside])) == {HATCH_GREY, 255}
    assert (pixels[~inside] == 7).all()


def test_half_of_a_large_slides_tiles_may_be_damaged():
    """Rows are compared with boxes, not each of a million tiles with each of 50 000 boxes."""
    damage = damage_of(
        (256 * i, 256 * j, 256 * (i + 1), 256 * (j + 1)) for i in range(316) for j in range(158)
    )
    side = 1024
    corners = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 79
    touched = damage.touches(0, corners, (79, 79))
    assert np.array_equal(touched, corners[:, 1] < 158 * 256)
