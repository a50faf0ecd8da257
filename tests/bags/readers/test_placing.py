from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags.readers.placing import neighbour_gap, place
from napari_mil.bags.readers.stored import (
    Anchor,
    LevelSide,
    MicrometreSide,
    PixelSide,
    Positions,
    Unit,
)
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind
from tests.bags.readers.canvas import Canvas

FILE = Path("a.h5")
LATTICE = np.stack(np.meshgrid(np.arange(6), np.arange(5)), -1).reshape(-1, 2) * 256


def kinds(placed):
    return [finding.kind for finding in placed.findings]


def test_corners_and_size_of_a_file_that_says_both_are_kept():
    placed = place(Positions(LATTICE, FILE, side=PixelSide(512)), 30, Canvas())
    assert placed.corners.dtype == np.int64
    assert np.array_equal(placed.corners, LATTICE)
    assert placed.tile_size0 == 512
    assert placed.findings == []


def test_a_size_that_is_given_wins_over_the_file():
    placed = place(Positions(LATTICE, FILE, side=PixelSide(512)), 30, None, 300)
    assert placed.tile_size0 == 300


def test_a_missing_size_is_taken_from_neighbours_and_said():
    placed = place(Positions(LATTICE, FILE), 30, None)
    assert placed.tile_size0 == 256
    (finding,) = placed.findings
    assert finding.kind is FindingKind.UNCERTAIN_PLACE
    assert "256 px, the distance of neighbours" in finding.text


@pytest.mark.parametrize("corners", [LATTICE[:1], np.array([[0, 0], [700, 30], [55, 900]])])
def test_a_size_that_nothing_tells_is_asked_for(corners):
    placed = place(Positions(corners, FILE), len(corners), None)
    assert placed.tile_size0 is None
    assert "give their side in level-0 pixels" in placed.findings[0].text


def test_fractions_of_pixels_are_rounded_and_said():
    placed = place(Positions(np.array([[0.0, 1.6], [2.0, 3.0]]), FILE, side=PixelSide(9)), 2, None)
    assert placed.corners.tolist() == [[0, 2], [2, 3]]
    assert kinds(placed) == [FindingKind.ROUNDED]


def test_micrometres_need_the_scale_of_the_slide():
    positions = Positions(np.array([[0.0, 128.0]]), FILE, Unit.MICROMETRES, side=MicrometreSide(64))
    placed = place(positions, 1, Canvas(mpp=0.5))
    assert placed.corners.tolist() == [[0, 256]]
    assert placed.tile_size0 == 128
    for slide in (None, Canvas(mpp=None)):
        nowhere = place(positions, 1, slide)
        assert (nowhere.corners, nowhere.tile_size0) == (None, None)
        assert kinds(nowhere) == [FindingKind.UNCERTAIN_PLACE]


def test_centres_become_corners_by_the_truncated_size_of_slideflow():
    side = MicrometreSide(128, is_truncated=True)
    positions = Positions(LATTICE + 253, FILE, anchor=Anchor.CENTRE, side=side)
    placed = place(positions, 30, Canvas(mpp=0.2528))
    assert placed.tile_size0 == 506
    assert np.array_equal(placed.corners, LATTICE)


def test_centres_of_tiles_of_unknown_size_become_corners_by_their_neighbours():
    placed = place(Positions(LATTICE + 128, FILE, anchor=Anchor.CENTRE), 30, None)
    assert np.array_equal(placed.corners, LATTICE)
    assert placed.tile_size0 == 256


def test_centres_that_cannot_be_corrected_are_said_to_be_centres():
    placed = place(Positions(np.array([[5, 5]]), FILE, anchor=Anchor.CENTRE), 1, None)
    assert placed.corners.tolist() == [[5, 5]]
    assert "centres" in placed.findings[-1].text


@pytest.mark.parametrize(("level", "expected"), [(0, 512), (1, 2048), (2, None)])
def test_a_size_in_pixels_of_a_level_needs_the_downsample_of_the_slide(level, expected):
    assert LevelSide(256, level, 2.0).in_pixels(Canvas()) == expected
    assert LevelSide(256, level, 2.0).in_pixels(None) == (512 if level == 0 else None)


def test_boxes_of_an_unstated_scale_are_laid_by_the_size_of_a_tile():
    boxes = np.concatenate([LATTICE, LATTICE + 256], 1)
    positions = Positions(boxes, FILE, Unit.UNSTATED)
    given_size = place(positions, 30, Canvas(), 512)
    assert np.array_equal(given_size.corners, LATTICE * 2)
    # Twice the size would lie on the slide as well.
    unknown = place(positions, 30, Canvas())
    assert unknown.corners is None
    assert "give the side of a tile" in unknown.findings[0].text
    # Only level 0 fits.
    certain = place(positions, 30, Canvas(1600, 1300))
    assert np.array_equal(certain.corners, LATTICE)
    assert certain.tile_size0 == 256


def test_another_slide_is_noticed_by_its_size():
    positions = Positions(LATTICE, FILE, side=PixelSide(256), slide_size=(2304, 3072))
    placed = place(positions, 30, Canvas(2220, 2967))
    assert kinds(placed) == [FindingKind.OTHER_SLIDE]
    assert "2304 × 3072" in placed.findings[0].text
    assert "canvas.svs has 2220 × 2967" in placed.findings[0].text
    assert kinds(place(positions, 30, Canvas(2304, 3072))) == []
    assert kinds(place(positions, 30, None)) == []


def test_tiles_off_the_slide_are_counted():
    placed = place(Positions(LATTICE, FILE, side=PixelSide(256)), 30, Canvas(1000, 2000))
    (finding,) = placed.findings
    assert finding.kind is FindingKind.OTHER_SLIDE
    assert finding.text.startswith("10 of 30 tiles lie off canvas.svs (1000 × 2000 pixels)")
    # Tiles that only reach over the edge lie on it.
    assert kinds(place(Positions(LATTICE, FILE, side=PixelSide(256)), 30, Canvas(1281, 1025))) == []


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        (np.zeros((3, 3)), "coordinates of shape"),
        (np.zeros((3, 4)), "coordinates of shape"),
        (np.zeros(6), "coordinates of shape"),
        (np.zeros((2, 2)), "3 feature rows but 2 coordinates"),
        (np.full((3, 2), np.nan), "no numbers"),
        (np.full((3, 2), 1e300), "no numbers"),
        (np.full((3, 2), np.iinfo(np.uint64).max, np.uint64), "no numbers"),
        (np.full((3, 2), "1"), "no numbers"),
    ],
)
def test_coordinates_that_do_not_fit_the_instances_are_refused(coords, message):
    with pytest.raises(BagError, match=rf"a\.h5 holds .*{message}"):
        place(Positions(coords, FILE), 3, None)


@given(
    stride=st.floats(2, 2000),
    columns=st.integers(2, 12),
    rows=st.integers(1, 12),
    pieces=st.lists(st.tuples(st.integers(0, 10**5), st.integers(0, 10**5)), max_size=2),
    seed=st.integers(0, 99),
)
def test_the_side_of_tiles_is_found_whatever_their_order(stride, columns, rows, pieces, seed):
    lattice = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2) * stride
    whole = np.concatenate([lattice, *(lattice + 10**6 + np.array(piece) for piece in pieces)])
    corners = np.rint(whole).astype(np.int64)
    shuffled = np.random.default_rng(seed).permutation(corners)
    found = neighbour_gap(shuffled)
    if columns * rows > 3:
        assert found == pytest.approx(stride, abs=1.01)
