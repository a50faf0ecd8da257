import subprocess
import sys

import h5py
import numpy as np
import pytest

from napari_mil.bags import Bag, Extraction, read_bag, write_bag, write_positions
from napari_mil.bags.writing import magnification_of
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


EXTRACTION = Extraction(
    slide_name="a.b",
    slide_fingerprint="5" * 32,
    slide_size=(9000, 7000),
    slide_mpp=0.2528,
    tile_px=224,
    tile_mpp=0.5,
    overlap=0.25,
    encoder="uni",
    encoder_fingerprint="e" * 32,
    grid_fingerprint="9" * 32,
)


def test_how_features_were_made_is_read_back(tmp_path):
    write_bag(Bag(FEATURES, COORDS, 443.04, extraction=EXTRACTION), tmp_path / "a.b.h5")
    assert read_bag(tmp_path / "a.b.h5").extraction == EXTRACTION


def test_the_attributes_are_those_that_readers_of_trident_ask_for(tmp_path):
    bag = Bag(FEATURES, COORDS, 443.04, extraction=EXTRACTION)
    write_bag(bag, tmp_path / "a.b.h5")
    write_positions(bag, tmp_path / "a.b_patches.h5")
    whole_numbers = {
        "patch_size": 224,
        "patch_size_level0": 443,
        "level0_magnification": 40,
        "target_magnification": 20,
        "overlap": 56,
        "level0_width": 9000,
        "level0_height": 7000,
    }
    for name in ("a.b.h5", "a.b_patches.h5"):
        with h5py.File(tmp_path / name) as file:
            attributes = dict(file["coords"].attrs)
            assert (attributes.pop("name"), attributes.pop("savetodir")) == ("a.b", "")
            assert attributes == whole_numbers
            assert all(isinstance(value, np.int64) for value in attributes.values())
            assert file["coords"].dtype == np.int64
    with h5py.File(tmp_path / "a.b.h5") as file:
        assert dict(file["features"].attrs) == {"name": "a.b", "savetodir": "", "encoder": "uni"}
    with pytest.raises(ValueError, match="no coordinates"):
        write_positions(Bag(FEATURES), tmp_path / "none.h5")


FULL_DISK = """
import resource, signal, sys
import numpy as np
from napari_mil.bags import Bag, write_bag
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    write_bag(Bag(np.ones((3000, 512), np.float32)), sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.h5"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("OutputError a.h5 cannot be written to")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("size0", "is_level0"), [(224.0, True), (448.0, False)])
def test_attributes_of_clam_stand_only_where_they_are_right(tmp_path, size0, is_level0):
    write_bag(Bag(FEATURES, COORDS, size0, extraction=EXTRACTION), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert ("downsample" in file["coords"].attrs) is is_level0


def test_many_rows_lie_in_few_chunks(tmp_path):
    features = np.ones((3000, 4), np.float32)
    write_bag(Bag(features, np.zeros((3000, 2), np.int64), 9.0), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["features"].chunks == (1024, 4)
        assert file["features"].maxshape == (None, 4)


@pytest.mark.parametrize(
    ("mpp", "power"),
    [(None, None), (0.1, 80), (0.25, 40), (0.499, 20), (0.6, 10), (2.3, 5), (2.4, None)],
)
def test_magnifications_are_those_of_trident(mpp, power):
    assert magnification_of(mpp) == power
