"""HDF5 of an answer: every array in its own type."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.exports.source import ExportSource

SCHEMA = "napari-mil/answer/1"
TEXT = h5py.string_dtype("utf-8")


def write_hdf5(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write the arrays of an answer; see `exporting.Writer`.

    ``prediction`` is the text of ``prediction.json``; N instances, C classes, K heads:
    ``coords`` int64 (N, 2) with the size of a tile as TRIDENT writes it, ``names``, ``attention``
    float32 (N, K), ``instance_scores`` float32 (N, C), ``similarity`` and ``unlike`` float32 (N,),
    ``critical`` int64, ``clusters`` int64 (N,) from 1, ``masks/<kind>`` bool (N,),
    ``tree/triplets`` and ``tree/heights``. What the answer lacks is not there.
    """
    prediction = source.prediction
    arrays: dict[str, np.ndarray | None] = {
        "logits": prediction.logits,
        "probabilities": prediction.probabilities,
        "coords": prediction.coords,
        "attention": prediction.attention,
        "instance_scores": prediction.instance_scores,
        "similarity": prediction.similarity,
        "unlike": None if prediction.unlikeness is None else prediction.unlikeness.instances,
        "critical": prediction.critical,
        "clusters": source.clusters,
        **{f"masks/{kind}": mask for kind, mask in prediction.masks.items()},
    }
    if prediction.tree is not None:
        arrays["tree/triplets"] = prediction.tree.triplets
        arrays["tree/heights"] = prediction.tree.heights
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = SCHEMA
        file.create_dataset("prediction", data=json.dumps(prediction.as_dict()), dtype=TEXT)
        file.create_dataset("classes", data=list(prediction.classes), dtype=TEXT)
        if prediction.names is not None:
            file.create_dataset("names", data=list(prediction.names), dtype=TEXT)
        for name, array in arrays.items():
            cancel.raise_if_cancelled()
            if array is not None:
                file.create_dataset(name, data=array, **_packing(array))
        if "coords" in file:
            _describe_tiles(file["coords"], source)
    return ()


def _packing(array: np.ndarray) -> dict[str, object]:
    """Return filters that every HDF5 library opens; nothing and little stays as it is."""
    if array.size < 1024:
        return {}
    return {"compression": "gzip", "compression_opts": 4, "shuffle": True}


def _describe_tiles(coords: h5py.Dataset, source: ExportSource) -> None:
    """Say how large tiles are, in TRIDENT's attributes and exactly."""
    prediction = source.prediction
    grid = prediction.provenance.get("grid", {})
    dimensions = prediction.slide.get("dimensions")
    if prediction.tile_size0 is not None:
        coords.attrs["tile_size0"] = prediction.tile_size0
        coords.attrs["patch_size_level0"] = round(prediction.tile_size0)
    if grid.get("tile_px"):
        coords.attrs["patch_size"] = int(grid["tile_px"])
    if dimensions:
        coords.attrs["level0_width"], coords.attrs["level0_height"] = map(int, dimensions)
    coords.attrs["name"] = source.title
