"""Benchmark of reading feature files beside a raw read of the same bytes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file

from napari_mil.bags import Bag, read_bag, write_bag

N = 20_000
DIM = 1024
ROUNDS = 9
TILE = 256


def main() -> None:
    features = np.random.default_rng(0).normal(size=(N, DIM)).astype(np.float32)
    coords = np.stack(np.divmod(np.arange(N), 200), 1) * TILE
    print("## Feature files\n")
    print(
        f"{N:,} × {DIM} features and their coordinates, {features.nbytes / 1e6:.0f} MB, "
        f"in the page cache; CPU time, medians of {ROUNDS} interleaved rounds. "
        "*Raw read*: `Path.read_bytes()` of the same file; *h5py*: `dataset[...]` of both. "
        "`read_bag` also checks that every number is finite and lays the tiles on the slide.\n"
    )
    print("| file | raw read, ms | `read_bag`, ms | ratio | h5py, ms |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in writers(features, coords).items():
            path = Path(folder) / name.split()[-1].strip("`")
            write(path)
            report(name, path)
            path.unlink()


def writers(features: np.ndarray, coords: np.ndarray) -> dict[str, Callable[[Path], object]]:
    """Return what writes each kind of file."""

    def hdf5(rows: int) -> Callable[[Path], object]:
        return lambda path: write_hdf5(path, features, coords, rows)

    return {
        "ours, chunks of 1024 rows: `ours.h5`": lambda path: write_bag(
            Bag(features, coords, float(TILE)), path
        ),
        "TRIDENT, chunks of a row: `trident.h5`": hdf5(1),
        "CLAM, chunks of 32 rows: `clam.h5`": hdf5(32),
        "torch: `a.pt`": lambda path: torch.save(torch.from_numpy(features), path),
        "numpy: `a.npy`": lambda path: np.save(path, features),
        "numpy: `a.npz`": lambda path: np.savez(path, features=features, coords=coords),
        "TRIDENT's array in torch: `array.pt`": lambda path: torch.save(features, path),
        "safetensors: `a.safetensors`": lambda path: save_file(
            {"features": features, "coords": coords}, path
        ),
    }


def write_hdf5(path: Path, features: np.ndarray, coords: np.ndarray, rows: int) -> None:
    """Write features in chunks of some rows, as other tools do."""
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=features, chunks=(rows, DIM), maxshape=(None, DIM))
        file.create_dataset("coords", data=coords, chunks=(rows, 2), maxshape=(None, 2))
        file["coords"].attrs["patch_size_level0"] = TILE


def read_by_library(path: Path) -> None:
    """Read all datasets by h5py alone."""
    with h5py.File(path) as file:
        for dataset in file.values():
            dataset[...]


def report(name: str, path: Path) -> None:
    """Print the row of one file."""
    ways: list[Callable[[Path], object]] = [Path.read_bytes, read_bag]
    if path.suffix == ".h5":
        ways.append(read_by_library)
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, taken in zip(ways, seconds, strict=True):
            started = time.process_time()
            way(path)
            taken.append(time.process_time() - started)
    raw, ours, *library = (1e3 * statistics.median(taken) for taken in seconds)
    by_library = f"{library[0]:.0f}" if library else ""
    print(f"| {name} | {raw:.0f} | {ours:.0f} | {ours / raw:.2f} × | {by_library} |")


if __name__ == "__main__":
    main()
