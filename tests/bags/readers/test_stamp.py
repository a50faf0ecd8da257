import h5py
import numpy as np
import pytest

from napari_mil.bags import read_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind
from tests.bags.readers.canvas import Canvas

FEATURES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float16)
LATTICE = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1).reshape(-1, 2).astype(np.float32)


def write(path, coords, **attributes):
    with h5py.File(path, "w") as file:
        file["feats"] = FEATURES
        file["coords"] = coords
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize(
    ("step", "side", "attributes"),
    [
        (100.0, 100, {"stamp_version": "2.3.0", "tile_size_um": 100.0, "tile_size_px": 224}),
        (100.0, 100, {"stamp_version": "2.0.0", "tile_size": 100.0, "unit": "um"}),
        (100.0, 100, {"stamp_version": "99.0.0", "tile_size_um": "100.0", "unit": "um"}),
        # Version 1 counts in pixels of tiles of 224 px and 256 µm, and may say nothing at all.
        (224.0, 256, {"extractor": "xiyuewang-ctranspath"}),
        (224.0, 256, {}),
        (224.0, 256, {"tile_size": 224}),
        (224.0, 256, {"tile_size": 224.0001, "extractor": "uni"}),
    ],
)
def test_every_version_of_stamp_counts_in_its_own_unit(tmp_path, step, side, attributes):
    path = write(tmp_path / "a.h5", LATTICE * step, **attributes)
    bag = read_bag(path, Canvas(mpp=0.25))
    assert np.array_equal(bag.coords, np.rint(LATTICE * side / 0.25))
    assert bag.tile_size0 == side / 0.25
    assert bag.warnings == ()
    assert bag.features.dtype == np.float32
    assert read_bag(path).coords is None


def test_a_missing_side_is_taken_from_neighbours_and_said(tmp_path):
    path = write(tmp_path / "a.h5", LATTICE * 100, stamp_version="2.0.0", unit="um")
    bag = read_bag(path, Canvas(mpp=0.25))
    assert bag.tile_size0 == 400
    assert "the distance of neighbours" in bag.warnings[0].text


def test_positions_of_stamp_off_the_slide_are_noticed(tmp_path):
    path = write(tmp_path / "a.h5", LATTICE * 100, tile_size_um=100.0, unit="um")
    bag = read_bag(path, Canvas(500, 500, mpp=0.25))
    assert [finding.kind for finding in bag.warnings] == [FindingKind.OTHER_SLIDE]


def test_files_that_only_share_a_name_with_stamp_count_in_pixels(tmp_path):
    bag = read_bag(write(tmp_path / "a.h5", LATTICE * 256), Canvas())
    assert np.array_equal(bag.coords, LATTICE * 256)
    assert bag.tile_size0 == 256


def test_positions_in_an_unknown_unit_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", LATTICE * 77, stamp_version="1.9")
    with pytest.raises(BagError, match="does not say what its positions count"):
        read_bag(path)


@pytest.mark.parametrize("level", ["slide", "patient"])
def test_vectors_of_slides_and_patients_are_named(tmp_path, level):
    path = write(tmp_path / "a.h5", LATTICE, stamp_version="2.3.0", feat_type=level)
    with pytest.raises(BagError, match=f"one vector of a whole {level}"):
        read_bag(path)
