import h5py
import numpy as np
import pytest

from napari_mil.bags import Bag, read_bag, write_bag
from napari_mil.errors import OutputError

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2) * 128


def test_a_bag_that_was_written_is_read_back(tmp_path):
    bag = Bag(FEATURES, COORDS, 443.04, provenance={"encoder": "abc", "grid": "g"})
    write_bag(bag, tmp_path / "a" / "slide.h5")
    again = read_bag(tmp_path / "a" / "slide.h5")
    assert np.array_equal(again.features, FEATURES)
    assert np.array_equal(again.coords, COORDS)
    assert again.tile_size0 == 443.04
    assert again.provenance["encoder"] == "abc"
    # The layout is TRIDENT's.
    with h5py.File(tmp_path / "a" / "slide.h5") as file:
        assert file["coords"].attrs["patch_size_level0"] == 443
        assert file["coords"].dtype == np.int64
    write_bag(Bag(FEATURES, names=tuple("abcdefg")), tmp_path / "images.h5")
    assert read_bag(tmp_path / "images.h5").names == tuple("abcdefg")
    assert [path.name for path in tmp_path.glob("**/*.part")] == []


def test_a_bag_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"slide\.h5 cannot be written"):
        write_bag(Bag(FEATURES), tmp_path / "file" / "slide.h5")
