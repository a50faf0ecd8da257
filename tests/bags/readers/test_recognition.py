import pickle
import zipfile

import h5py
import numpy as np
import pytest
import torch
import zarr
from safetensors.numpy import save_file

from napari_mil.bags import read_bag
from napari_mil.bags.readers import is_bag, is_features
from napari_mil.bags.readers.recognition import FileKind, kind_of
from napari_mil.errors import BagError, CheckpointError

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file["features"] = FEATURES


def write_npz(path):
    with path.open("wb") as file:
        np.savez(file, features=FEATURES)


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, FEATURES)


WRITERS = {
    FileKind.HDF5: write_hdf5,
    FileKind.SAFETENSORS: lambda path: save_file({"features": FEATURES}, path),
    FileKind.NPY: write_npy,
    FileKind.NPZ: write_npz,
    FileKind.TORCH: lambda path: torch.save(torch.from_numpy(FEATURES), path),
    FileKind.TABLE: lambda path: np.savetxt(path, FEATURES, delimiter=","),
    FileKind.ZARR: lambda path: zarr.save_group(str(path), features=FEATURES),
}


@pytest.mark.parametrize("ending", [".h5", ".pt", ".npy", ".csv", ".bin", ""])
@pytest.mark.parametrize("kind", WRITERS)
def test_features_are_recognised_by_content_whatever_the_ending(tmp_path, kind, ending):
    path = tmp_path / f"case{ending}"
    WRITERS[kind](path)
    assert kind_of(path) is kind
    assert is_features(path)
    assert is_bag(path)
    assert np.allclose(read_bag(path).features, FEATURES)


def test_tensors_of_before_zip_archives_are_recognised(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(torch.from_numpy(FEATURES), path, _use_new_zipfile_serialization=False)
    assert kind_of(path) is FileKind.TORCH
    assert np.array_equal(read_bag(path).features, FEATURES)


def test_slides_tables_of_words_and_folders_are_no_features(slide_path, tmp_path):
    (tmp_path / "labels.csv").write_text("slide,label\na,1\nb,0\n")
    (tmp_path / "notes.txt").write_text("1, 2 or 3\n")
    zarr.save_group(str(tmp_path / "image.zarr"), image=np.zeros((4, 4)))
    for path in (slide_path, *tmp_path.iterdir(), tmp_path):
        assert not is_features(path)


def test_an_archive_that_is_no_bag_is_not_opened(tmp_path):
    path = tmp_path / "bags.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "words")
    with pytest.raises(BagError, match="archives are not opened"):
        read_bag(path)


class Code:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_beyond_the_allow_list_are_refused_by_name(tmp_path, capsys, protocol):
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps({"features": Code()}, protocol=protocol))
    with pytest.raises(CheckpointError, match=r"features\.pkl"):
        read_bag(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["objects.npy", "objects.npz"])
def test_arrays_of_python_objects_are_refused(tmp_path, capsys, name):
    path = tmp_path / name
    objects = np.array([[Code()], [Code()]], dtype=object)
    if name.endswith(".npy"):
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, features=objects)
    with pytest.raises(BagError, match="holds Python objects, and loading them could run code"):
        read_bag(path)
    assert capsys.readouterr().out == ""
