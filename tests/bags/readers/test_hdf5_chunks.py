import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags.readers import hdf5_chunks
from napari_mil.bags.readers.hdf5_chunks import read_dataset
from napari_mil.errors import BagError

DTYPES = ("<f4", "<f2", ">f4", "<f8", "<i8")


@given(
    n=st.integers(1, 400),
    rows=st.integers(1, 4),
    dtype=st.sampled_from(DTYPES),
    library=st.sampled_from(["earliest", "latest"]),
    options=st.sampled_from([{}, {"compression": "gzip"}, {"shuffle": True}]),
)
def test_chunks_read_from_the_file_are_what_the_library_reads(
    tmp_path_factory, n, rows, dtype, library, options
):
    path = tmp_path_factory.mktemp("chunks") / "a.h5"
    values = np.random.default_rng(n).integers(-9, 9, (n, 3)).astype(dtype)
    with h5py.File(path, "w", libver=library) as file:
        written = file.create_dataset(
            "features", (n, 3), dtype, chunks=(min(rows, n), 3), maxshape=(None, 3), **options
        )
        # Rows are written in any order, between other data.
        for k in np.random.default_rng(0).permutation(n):
            written[k] = values[k]
            if k % 50 == 0:
                file[f"other {k}"] = np.arange(k + 1)
    with h5py.File(path) as file:
        read = read_dataset(path, file["features"])
        assert read.dtype == dtype
        assert np.array_equal(read, values)


def test_rows_that_were_never_written_are_filled(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        written = file.create_dataset("features", (300, 3), "f4", chunks=(1, 3), fillvalue=7)
        written[:200] = 1
    with h5py.File(path) as file:
        read = read_dataset(path, file["features"])
    assert read[:200].min() == read[:200].max() == 1
    assert read[200:].min() == read[200:].max() == 7


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (10**9, 1024), "f4", chunks=(1, 1024))
    with h5py.File(path) as file, pytest.raises(BagError, match="and does not"):
        read_dataset(path, file["features"])


def test_many_chunks_are_read_without_the_library(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=np.ones((500, 3), "f4"), chunks=(1, 3))
    read = []
    monkeypatch.setattr(
        hdf5_chunks,
        "_read_chunks",
        lambda *arguments: read.append(arguments) or np.ones((500, 3), "f4"),
    )
    with h5py.File(path) as file:
        read_dataset(path, file["features"])
    assert len(read) == 1
