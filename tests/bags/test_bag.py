import numpy as np
import pytest

from napari_mil.bags import Bag
from napari_mil.errors import NapariMilError


def test_features_become_single_precision():
    assert Bag(np.ones((3, 2))).features.dtype == np.float32
    assert len(Bag(np.ones((3, 2, 4, 4)))) == 3


def test_bags_without_instances_or_of_unequal_lengths_are_refused():
    with pytest.raises(NapariMilError, match="at least one instance"):
        Bag(np.ones((0, 2)))
    with pytest.raises(NapariMilError, match="3 instances but 2 names"):
        Bag(np.ones((3, 2)), names=("a", "b"))
