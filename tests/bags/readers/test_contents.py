from pathlib import Path

import numpy as np
import pytest

from napari_mil.bags.readers.contents import as_corners, bag_of, instance_count
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

FEATURES = np.ones((3, 5), np.float32)


def test_maps_keep_their_sides_and_single_axes_are_dropped():
    assert bag_of("a", np.ones((3, 5, 2, 2))).features.shape == (3, 5, 2, 2)
    assert bag_of("a", np.ones((3, 5, 1, 1))).features.shape == (3, 5)
    assert bag_of("a", np.ones((1, 3, 5))).features.shape == (3, 5)


def test_fractions_of_coordinates_are_rounded_with_a_warning():
    warnings = []
    corners = as_corners("a.h5", [[0.0, 1.6], [2.0, 3.0]], 2, warnings)
    assert corners.tolist() == [[0, 2], [2, 3]]
    text = "Coordinates are not whole pixels and were rounded."
    assert warnings == [Finding(FindingKind.ROUNDED, Path("a.h5"), text)]


@pytest.mark.parametrize("coords", [np.zeros((3, 3)), np.zeros((2, 2)), np.full((3, 2), np.nan)])
def test_coordinates_that_do_not_fit_the_instances_are_refused(coords):
    with pytest.raises(BagError, match=r"a\.h5 holds .*coordinates"):
        bag_of("a.h5", FEATURES, coords)


def test_instances_are_counted_from_a_shape():
    assert instance_count("a", (7, 5)) == 7
    assert instance_count("a", (1, 7, 5)) == 7
    with pytest.raises(BagError, match="no instance"):
        instance_count("a", (0, 5))
    with pytest.raises(BagError, match="one vector"):
        instance_count("a", (5,))
