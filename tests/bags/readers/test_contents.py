import re
from pathlib import Path

import numpy as np
import pytest

from napari_mil.bags.readers.contents import bag_of, bag_shape
from napari_mil.bags.readers.stored import Positions, Stored
from napari_mil.errors import BagError

FEATURES = np.ones((3, 5), np.float32)
FILE = Path("a.h5")


@pytest.mark.parametrize(
    ("stored", "shape"),
    [
        ((3, 5, 2, 2), (3, 5, 2, 2)),
        ((3, 5, 1, 1), (3, 5)),
        ((1, 3, 5), (3, 5)),
        ((1, 1, 5), (1, 5)),
        ((1, 5), (1, 5)),
    ],
)
def test_maps_keep_their_sides_and_single_axes_are_dropped(stored, shape):
    assert bag_of(FILE, Stored(np.ones(stored))).features.shape == shape


@pytest.mark.parametrize("shape", [(1, 7, 5), (7, 5)])
@pytest.mark.parametrize("coords_shape", [(1, 7, 2), (7, 2)])
def test_a_batch_axis_of_features_or_coordinates_is_dropped(shape, coords_shape):
    coords = np.arange(14).reshape(coords_shape) * 256
    bag = bag_of(FILE, Stored(np.ones(shape), Positions(coords, FILE)))
    assert bag.features.shape == (7, 5)
    assert bag.coords.shape == (7, 2)


def test_one_vector_for_several_positions_is_a_slides():
    stored = Stored(np.ones((1, 5)), Positions(np.zeros((9, 2)), FILE))
    with pytest.raises(BagError, match=r"a\.h5 holds one vector of 5, a whole slide's"):
        bag_of(FILE, stored)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((3, 5), bool), "bool instead of numbers"),
        (np.ones((0, 5)), "no instance"),
        (np.ones(0), "no instance"),
        (np.float32(1), "one vector of 1"),
        (np.ones(5), "one vector of 5"),
        (np.ones((2, 3, 5)), r"shape \(2, 3, 5\)"),
        (np.array([[1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]]), "2 of 3 rows, the first in row 1"),
        (np.array([[np.inf], [-np.inf]]), "2 of 2 rows"),
    ],
)
def test_features_that_are_none_are_refused(features, message):
    with pytest.raises(BagError, match=rf"a\.h5 holds .*{message}"):
        bag_of(FILE, Stored(features))


def test_features_that_fit_are_not_copied():
    assert bag_of(FILE, Stored(FEATURES)).features is FEATURES


def test_instances_are_counted_from_a_shape():
    assert bag_shape("a", (7, 5)) == (7, 5)
    assert bag_shape("a", (1, 7, 5)) == (7, 5)
    assert bag_shape("a", (7, 5, 1, 1)) == (7, 5)
    assert bag_shape("a", (7, 5, 2, 3)) == (7, 5, 2, 3)
    with pytest.raises(BagError, match="no instance"):
        bag_shape("a", (0, 5))
    with pytest.raises(BagError, match="one vector"):
        bag_shape("a", (5,))


@pytest.mark.parametrize("value", [3e38, -3e38, 1e16])
def test_a_number_that_is_too_large_to_compute_with_is_named_with_its_row(value):
    features = np.ones((5, 3), np.float32)
    features[2, 1] = value
    with pytest.raises(BagError, match=re.escape(f"a feature of {value:.3g}") + ".*row 2"):
        bag_of(Path("a.npy"), Stored(features))
