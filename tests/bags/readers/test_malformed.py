"""Malformed feature files: a bag or one sentence, whatever the bytes."""

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from napari_mil.bags import Bag, read_bag, write_bag
from napari_mil.bags.readers import is_bag, shape_of_bag
from napari_mil.errors import NapariMilError

FEATURES = np.random.default_rng(0).normal(size=(70, 5)).astype(np.float32)
COORDS = np.arange(140).reshape(70, 2) * 128


def write_hdf5(path, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=FEATURES, **options)
        file["coords"] = COORDS
        file["coords"].attrs["patch_size_level0"] = 128


WRITERS = {
    "ours.h5": lambda path: write_bag(Bag(FEATURES, COORDS, 128.0), path),
    "rows.h5": lambda path: write_hdf5(path, chunks=(1, 5)),
    "packed.h5": lambda path: write_hdf5(path, chunks=(10, 5), compression="gzip"),
    "a.pt": lambda path: torch.save({"features": torch.from_numpy(FEATURES)}, path),
    "array.pt": lambda path: torch.save(FEATURES, path),
    "old.pt": lambda path: torch.save(
        torch.from_numpy(FEATURES), path, _use_new_zipfile_serialization=False
    ),
    "a.npy": lambda path: np.save(path, FEATURES),
    "a.npz": lambda path: np.savez(path, features=FEATURES, coords=COORDS),
    "packed.npz": lambda path: np.savez_compressed(path, features=FEATURES, coords=COORDS),
    "a.safetensors": lambda path: save_file({"features": FEATURES}, path),
    "a.csv": lambda path: np.savetxt(path, FEATURES, delimiter=","),
}


def outcome(read, path):
    """Return what reading gives, or the sentence that refuses the file."""
    try:
        return read(path)
    except NapariMilError as refused:
        return str(refused)


@pytest.fixture(autouse=True)
def expect_numpys_word(monkeypatch):
    """Let numpy tell of a dtype whose flags were flipped once more when its array is freed."""
    others = sys.unraisablehook

    def hear(unraisable):
        if "get_clear_loop" not in str(unraisable.exc_value):
            others(unraisable)

    monkeypatch.setattr(sys, "unraisablehook", hear)


def bag_or_one_sentence(path):
    """Read a file that may be damaged; anything but a bag or one sentence is a fault."""
    assert is_bag(path) in (True, False)
    for found in (outcome(read_bag, path), outcome(shape_of_bag, path)):
        if isinstance(found, str):
            assert "\n" not in found
            assert path.name in found
        else:
            assert len(found)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=40)
@given(data=st.data())
def test_flipped_bytes_give_a_bag_or_one_sentence(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("flipped") / name
    WRITERS[name](path)
    content = bytearray(path.read_bytes())
    # Headers stand at both ends.
    ends = st.integers(0, min(600, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(ends) * data.draw(st.sampled_from([1, -1]))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    bag_or_one_sentence(path)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=20)
@given(share=st.floats(0, 1))
def test_files_cut_short_give_a_bag_or_one_sentence(tmp_path_factory, name, share):
    path = tmp_path_factory.mktemp("cut") / name
    WRITERS[name](path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    bag_or_one_sentence(path)


@given(
    start=st.sampled_from(
        [b"", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x80\x02"]
    ),
    rest=st.binary(max_size=300),
)
def test_any_bytes_give_a_bag_or_one_sentence(tmp_path_factory, start, rest):
    path = tmp_path_factory.mktemp("any") / "a.pt"
    path.write_bytes(start + rest)
    bag_or_one_sentence(path)


@given(text=st.text(alphabet="0123456789.,;-+eE\n\t\r\"' xyfnai", max_size=200))
def test_any_table_gives_a_bag_or_one_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    path.write_text(text, newline="")
    bag_or_one_sentence(path)


ATTRIBUTES = (
    "patch_size_level0",
    "patch_size",
    "patch_level",
    "downsample",
    "overlap",
    "level_dim",
    "custom_downsample",
    "level0_width",
    "level0_height",
    "name",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(content=JSON, is_named=st.booleans())
def test_any_objects_give_a_bag_or_one_sentence(tmp_path_factory, content, is_named):
    path = tmp_path_factory.mktemp("objects") / "a.pt"
    torch.save({"features": content, "coords": content} if is_named else content, path)
    bag_or_one_sentence(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(4).to_sparse(),
        lambda: torch.eye(4).to_sparse_csr(),
        lambda: torch.quantize_per_tensor(torch.eye(4), 0.1, 0, torch.quint8),
        lambda: torch.eye(4, dtype=torch.complex64),
        lambda: torch.eye(4, dtype=torch.bool),
        lambda: torch.empty((4, 4), device="meta"),
        lambda: torch.tensor(1.0),
    ],
    ids=["COO", "CSR", "quantized", "complex", "bool", "meta", "scalar"],
)
def test_other_kinds_of_tensors_are_refused(tmp_path, make):
    path = tmp_path / "a.pt"
    torch.save(make(), path)
    assert isinstance(outcome(read_bag, path), str)
    bag_or_one_sentence(path)


@given(
    meta=st.dictionaries(
        st.sampled_from(["artifact_type", "tile_size_lv0", "coordinates_npz_path"]), JSON
    )
    | JSON,
    config=st.dictionaries(st.sampled_from(["tile_um", "tile_px", "extractor"]), JSON) | JSON,
)
def test_any_description_beside_a_bag_gives_a_bag_or_one_sentence(tmp_path_factory, meta, config):
    folder = tmp_path_factory.mktemp("beside")
    np.save(folder / "a.npy", FEATURES)
    np.savez(folder / "a.index.npz", arr_0=COORDS)
    (folder / "a.meta.json").write_text(json.dumps(meta))
    (folder / "bags_config.json").write_text(json.dumps(config))
    bag_or_one_sentence(folder / "a.npy")


@given(
    attributes=st.dictionaries(
        st.sampled_from(ATTRIBUTES),
        st.integers(-(2**40), 2**40)
        | st.floats()
        | st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=6)
        | st.lists(st.floats(), max_size=3),
    )
)
def test_any_attributes_give_a_bag_or_one_sentence(tmp_path_factory, attributes):
    path = tmp_path_factory.mktemp("attributes") / "a.h5"
    write_hdf5(path)
    with h5py.File(path, "a") as file:
        file["coords"].attrs.clear()
        file["coords"].attrs.update(attributes)
    bag_or_one_sentence(path)


@settings(max_examples=30)
@given(data=st.data())
def test_flipped_bytes_of_a_store_give_a_bag_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("stores") / "a.zarr"
    zarr.save_group(str(path), features=FEATURES, coordinates=COORDS)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    bag_or_one_sentence(path)
    shutil.rmtree(path)
