"""Maps beside annotated regions: hand-made cases."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from napari_mil.annotations import Region
from napari_mil.training.evaluation.overlap import FALSE_POSITIVES, overlap
from tests.gui.model.builders import grid_layout


def box(column, row, columns=1, rows=1, name="tumour"):
    """Return a region around whole tiles of 100 pixels."""
    x, y = 100 * column, 100 * row
    return Region(shapely.box(x, y, x + 100 * columns, y + 100 * rows), name)


def layout_of(image):
    return grid_layout(*np.shape(image), size=100.0)


def overlap_of(image, regions, **options):
    image = np.array(image, np.float32)
    return overlap(layout_of(image), image.ravel(), regions, **options)


@given(st.integers(0, 2**31))
def test_the_auc_is_sklearns_over_tiles_whose_centre_is_inside(seed):
    image = np.random.default_rng(seed).integers(0, 9, (5, 6)).astype(np.float32)
    truth = np.zeros((5, 6), int)
    truth[1:3, 2:5] = 1
    found = overlap_of(image, [box(2, 1, 3, 2)])
    assert found.n_positive == 6
    assert found.auc == pytest.approx(roc_auc_score(truth.ravel(), image.ravel()))


def test_dice_at_a_threshold_is_that_of_the_two_sets():
    image = [[0.9, 0.6, 0.1], [0.4, 0.7, 0.2]]
    # Inside: 0.9, 0.6, 0.1. Called from 0.5: 0.9, 0.6, 0.7. Two in common.
    found = overlap_of(image, [box(0, 0, 3, 1)], threshold=0.5)
    assert found.dice == pytest.approx(2 * 2 / (3 + 3))
    assert found.threshold == 0.5


def test_without_a_threshold_as_many_are_called_as_are_inside():
    image = [[0.9, 0.6, 0.1], [0.4, 0.7, 0.2]]
    found = overlap_of(image, [box(0, 0, 2, 1)])
    # The two highest are 0.9 and 0.7; one of them is inside.
    assert found.dice == pytest.approx(0.5)
    assert found.threshold is None


def test_a_centre_outside_a_region_is_not_inside_however_much_of_the_tile_is():
    region = Region(shapely.box(0, 0, 49, 100), "tumour")
    found = overlap_of([[0.9, 0.1]], [region])
    assert found.n_positive == 0
    assert np.isnan(found.auc)
    assert np.isnan(found.dice)


def test_tiles_in_areas_to_ignore_count_neither_for_nor_against():
    image = [[0.9, 0.1, 0.8, 0.1]]
    ignored = box(2, 0, name="Ignore*")
    with_it = overlap_of(image, [box(0, 0)], ignored=[ignored], threshold=0.5)
    assert (with_it.n, with_it.dice) == (3, 1.0)
    assert with_it.auc == 1
    assert overlap_of(image, [box(0, 0)], threshold=0.5).dice == pytest.approx(2 / 3)


def test_tiles_without_a_value_are_left_out():
    found = overlap_of([[0.9, np.nan, 0.2]], [box(0, 0, 2, 1)])
    assert (found.n, found.n_positive) == (2, 1)


class TestFroc:
    """Peaks at 9, 8, 7 and 5 in a row of tiles; regions where the test says."""

    image = ((9, 0, 8, 0, 7, 0, 5, 0),)

    def test_every_region_is_found_at_once_where_no_peak_is_false(self):
        regions = [box(k, 0) for k in (0, 2, 4, 6)]
        assert overlap_of(self.image, regions).sensitivities == (1,) * 6

    def test_a_region_below_a_false_peak_is_found_when_that_is_allowed(self):
        # 9 is inside, 8 and 7 are false, 5 is inside: found with two false ones.
        found = overlap_of(self.image, [box(0, 0), box(6, 0)])
        assert dict(zip(FALSE_POSITIVES, found.sensitivities, strict=True)) == {
            0.25: 0.5,
            0.5: 0.5,
            1: 0.5,
            2: 1,
            4: 1,
            8: 1,
        }
        assert found.froc == pytest.approx(0.75)

    def test_a_region_without_a_peak_is_never_found(self):
        found = overlap_of(self.image, [box(0, 0), box(1, 0)])
        assert found.sensitivities == (0.5,) * 6

    def test_several_peaks_in_one_region_find_it_once(self):
        found = overlap_of(self.image, [box(0, 0, 5, 1), box(6, 0)])
        assert found.n_regions == 2
        assert found.sensitivities == (1,) * 6

    def test_a_region_that_ties_with_a_false_peak_is_not_found_without_it(self):
        found = overlap_of([[9, 0, 9]], [box(0, 0)])
        assert found.sensitivities == (0, 0, 1, 1, 1, 1)

    def test_a_plateau_is_one_candidate(self):
        image = np.zeros((3, 5), np.float32)
        image[1, 1:4] = 1
        # One end of the plateau is inside: it is a hit and no false peak.
        assert overlap_of(image, [box(1, 1)]).sensitivities == (1,) * 6
        # Another region, elsewhere: the plateau is one false peak, not three.
        image[0, 0] = 0.5
        assert overlap_of(image, [box(4, 0)]).sensitivities == (0,) * 6

    def test_a_shoulder_is_no_candidate(self):
        assert overlap_of([[9, 8, 7]], [box(1, 0)]).sensitivities == (0,) * 6

    def test_a_map_of_one_value_is_one_plateau(self):
        assert overlap_of(np.ones((2, 2)), [box(0, 0)]).sensitivities == (1,) * 6

    def test_peaks_in_areas_to_ignore_are_not_false(self):
        found = overlap_of(self.image, [box(2, 0)], ignored=[box(0, 0)])
        assert found.sensitivities == (1,) * 6


def test_without_regions_there_are_no_figures():
    found = overlap_of([[1, 2]], [])
    assert np.isnan([found.auc, found.dice, found.froc]).all()
