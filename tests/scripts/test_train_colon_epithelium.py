from types import SimpleNamespace

import numpy as np

from scripts.train_colon_epithelium import TILINGS, tile_labels, tiling_of


def test_tiles_are_labelled_by_the_nuclei_they_hold():
    coords = np.array([[0, 0], [10, 0], [20, 0]])
    bag = SimpleNamespace(coords=coords, grid=SimpleNamespace(tile_size0=10.0))
    nuclei = [(3.0, 3.0, "epithelial"), (4.0, 4.0, "other"), (10.0, 9.9, "other")]
    assert tile_labels(bag, nuclei).tolist() == [1, 0, -1]


def test_the_name_of_a_candidate_tells_its_tiling():
    for tiling in TILINGS:
        assert tiling_of(str(tiling)) == tiling
