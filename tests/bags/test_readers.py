import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from napari_mil.bags import Bag, read_bag, write_bag
from napari_mil.bags.readers import count_instances
from napari_mil.errors import BagError, CheckpointError

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2) * 128


@pytest.mark.parametrize(
    "name",
    [
        "trident/20x_128px_0px_overlap/features_toy32/SYN-01-A1-01.h5",
        "trident/20x_128px_0px_overlap/features_toy32/SYN-01-A1-01.pt",
        "trident/10x_128px_0px_overlap/features_toy16/SYN-01-A1-01.h5",
        "clam/feats/h5_files/SYN-01-A1-01.h5",
        "clam/feats/pt_files/SYN-01-A1-01.pt",
        "slideflow/bags/SYN-01-A1-01.pt",
        "slide2vec/tile_embeddings/SYN-01-A1-01.pt",
        "plain/SYN-01-A1-01.npy",
        "plain/SYN-01-A1-01_xy.npz",
        "plain/SYN-01-A1-01_dict.pt",
        "stamp/toy16-49b04e14/SYN-01-A1-01.h5",
    ],
)
def test_files_of_other_tools_say_what_they_should(shared, name):
    expected = json.loads((shared / "data/interop/expected.json").read_text())
    entry = next(entry for entry in expected if entry["path"] == name)
    bag = read_bag(shared / "data/interop" / name)
    digest = hashlib.sha256(bag.features.astype("<f4").tobytes()).hexdigest()
    assert digest[:16] == entry["sha256_16"]
    assert count_instances(shared / "data/interop" / name) == len(bag)


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
