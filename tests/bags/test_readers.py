import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from safetensors.numpy import save_file

from napari_mil.bags import Bag, read_bag, write_bag
from napari_mil.bags.readers import fingerprint_features, is_bag, is_side_file, shape_of_bag
from napari_mil.errors import BagError, CheckpointError
from napari_mil.findings import FindingKind
from napari_mil.slides.fingerprint import fingerprint_file
from tests.conftest import SHARED

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2) * 128


def bags_of_other_tools():
    """Return what the shared files hold; nothing where they are not beside this checkout."""
    listed = SHARED / "data/interop/expected.json"
    if not listed.is_file():
        return []
    return [entry for entry in json.loads(listed.read_text()) if "sha256_16" in entry]


@pytest.mark.parametrize("entry", bags_of_other_tools(), ids=lambda entry: entry["path"])
def test_files_of_other_tools_say_what_they_should(shared, entry):
    path = shared / "data/interop" / entry["path"]
    slides = (shared / "data/interop/slides", shared / "data/slides/svs")
    slide = next(file for folder in slides for file in folder.glob(f"{entry['slide']}*.svs"))
    bag = read_bag(path, slide)
    digest = hashlib.sha256(bag.features.astype("<f4").tobytes()).hexdigest()
    assert digest[:16] == entry["sha256_16"]
    assert shape_of_bag(path)[0] == len(bag) == entry["N"]
    assert is_bag(path)
    if "first_xy_level0" in entry:
        assert bag.coords.dtype == np.int64
        stated = [entry["first_xy_level0"], entry["last_xy_level0"]]
        assert np.abs(bag.coords[[0, -1]] - stated).max() <= 0.5
    if "tile_size_level0" in entry:
        assert bag.tile_size0 == pytest.approx(entry["tile_size_level0"], abs=1e-3)
    assert not any(finding.kind is FindingKind.OTHER_SLIDE for finding in bag.warnings)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("trident/20x_128px_0px_overlap/patches/SYN-01-A1-01_patches.h5", "the positions of tiles"),
        ("clam/patches/SYN-01-A1-01.h5", "the positions of tiles"),
        ("slideflow/bags/SYN-01-A1-01.index.npz", "the positions of tiles"),
        ("slideflow/tfrecords/SYN-01-A1-01.index.npz", "the positions of tiles"),
        ("slideflow/tfrecords/SYN-01-A1-01.tfrecords", "the images of tiles"),
        ("slide2vec/tiles/SYN-01-A1-01.coordinates.npz", "the positions of tiles"),
        ("slide2vec/tiles", "a folder without features"),
    ],
)
def test_files_of_other_tools_that_are_no_features_are_named_as_what_they_are(shared, name, words):
    with pytest.raises(BagError, match=words):
        read_bag(shared / "data/interop" / name)


def test_bags_of_public_reports_are_read(shared):
    for folder, shape, n in (
        ("19-slideflow-bags", None, 12),
        ("21-dsmil-csv-bags", (6, 16), 12),
    ):
        files = [
            path
            for ending in ("*.pt", "*.csv")
            for path in (shared / "cases" / folder).rglob(ending)
        ]
        bags = [read_bag(path) for path in files]
        assert len(bags) == n
        assert all(shape is None or bag.features.shape == shape for bag in bags)
        assert all(bag.coords is not None for bag in bags) is (folder == "19-slideflow-bags")
    files = (shared / "cases/31b-batch-dimension").rglob("*.h5")
    assert sorted(len(read_bag(path)) for path in files) == [5, 5, 7, 7, 9, 9]


def write_cut_short(path, length):
    """Write a feature file and cut it to a length in bytes."""
    if path.suffix == ".h5":
        write_bag(Bag(FEATURES), path)
    elif path.suffix == ".npy":
        np.save(path, FEATURES)
    elif path.suffix == ".safetensors":
        save_file({"features": FEATURES}, path)
    else:
        torch.save(torch.ones(500, 5), path)
    path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("empty.h5", lambda path: path.touch()),
        ("text.pt", lambda path: path.write_text("no features")),
        ("cut.h5", lambda path: write_cut_short(path, 600)),
        ("cut.npy", lambda path: write_cut_short(path, 140)),
        ("cut.safetensors", lambda path: write_cut_short(path, -5)),
        ("cut.pt", lambda path: write_cut_short(path, 400)),
        ("none.safetensors", lambda path: save_file({"features": FEATURES[:0]}, path)),
        ("vector.pt", lambda path: torch.save(torch.ones(512), path)),
        ("nan.npy", lambda path: np.save(path, np.where(FEATURES > 1, np.nan, FEATURES))),
        ("words.npy", lambda path: np.save(path, np.array([["a", "b"]]))),
        ("other.npz", lambda path: np.savez(path, a=FEATURES, b=FEATURES)),
        ("lengths.npz", lambda path: np.savez(path, features=FEATURES, coords=COORDS[:3])),
        ("ragged.pt", lambda path: torch.save([torch.ones(3), torch.ones(4)], path)),
        ("weights.pt", lambda path: torch.save({"layer.weight": torch.ones(3, 3)}, path)),
        ("missing.pt", lambda path: None),
    ],
)
def test_a_file_without_features_is_refused_in_one_sentence(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    with pytest.raises((BagError, CheckpointError), match=name) as refused:
        read_bag(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("a.index.npz", True),
        ("a.index.npy", True),
        ("a.position.npy", True),
        ("bags_config.json", True),
        ("a.meta.json", True),
        ("a.npz", False),
        ("index.npz", False),
        ("a.json", False),
    ],
)
def test_files_beside_bags_are_told_from_bags(name, is_one):
    assert is_side_file(Path(name)) is is_one


def test_a_store_is_identified_by_the_content_of_its_files(tmp_path):
    for name, value in (("a", 1), ("b", 1), ("c", 2)):
        zarr.save_group(str(tmp_path / name), features=np.full((3, 4), value, np.float32))
    a, b, c = (fingerprint_features(tmp_path / name) for name in "abc")
    assert a == b != c
    np.save(tmp_path / "a.npy", FEATURES)
    assert fingerprint_features(tmp_path / "a.npy") == fingerprint_file(tmp_path / "a.npy")
