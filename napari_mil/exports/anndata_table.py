"""AnnData table of the instances, written as its on-disk format 0.1.0 says.

https://anndata.readthedocs.io/en/stable/fileformat-prose.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.exports.source import ExportSource
from napari_mil.inference.likeness import as_vectors

REGION = "tiles"
"""Name of the shapes element that a SpatialData table of tiles annotates."""
REGION_KEY, INSTANCE_KEY = "library_id", "tile_id"
TEXT = h5py.string_dtype("utf-8")
IMAGE_PX = 1024
"""Longer side of the slide's picture that is kept beside the table."""
SEVERAL = "; "


def write_anndata(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a table that anndata, scanpy, squidpy and spatialdata read; see `exporting.Writer`.

    ``obs`` has a row for each instance with its values, ``obsm['spatial']`` the centres of tiles
    in level-0 pixels as float64 (N, 2), ``X`` the features while they are in memory. ``uns`` has
    SpatialData's keys of the region, and ``napari_mil/prediction``, the text of
    ``prediction.json``. Where the slide is given, a picture of it lies where squidpy looks for
    one.
    """
    prediction = source.prediction
    with h5py.File(path, "w") as file:
        _mark(file, "anndata", "0.1.0")
        features = prediction.features
        n_features = 0
        if features is not None:
            vectors = as_vectors(features.features)
            n_features = vectors.shape[1]
            _write_array(file, "X", vectors)
        _write_frame(file, "obs", _index(source), _observed(source))
        _write_frame(file, "var", [f"feature_{k}" for k in range(n_features)], {})
        for name in ("layers", "obsp", "varm", "varp"):
            _write_group(file, name)
        cancel.raise_if_cancelled()
        spatial = _write_group(file, "obsm")
        if not source.lacks_positions:
            _write_array(spatial, "spatial", source.corners + np.array(source.tile_size) / 2)
        unstructured = _write_group(file, "uns")
        _write_facts(unstructured, source)
        if not source.lacks_positions:
            _write_region(unstructured)
            _write_picture(unstructured, source, cancel)
    return ()


def _index(source: ExportSource) -> list[str]:
    """Return unique names of the instances."""
    return [str(k) for k in range(source.prediction.n_instances)]


def _observed(source: ExportSource) -> dict[str, np.ndarray | list[str]]:
    """Return the columns of ``obs``; texts become categories."""
    prediction = source.prediction
    n = prediction.n_instances
    observed: dict[str, np.ndarray | list[str]] = {INSTANCE_KEY: np.arange(n)}
    if not source.lacks_positions:
        width, height = source.tile_size
        observed |= {
            REGION_KEY: [REGION] * n,
            "x": source.corners[:, 0],
            "y": source.corners[:, 1],
            "width": np.full(n, width),
            "height": np.full(n, height),
        }
    if prediction.names is not None:
        observed["name"] = list(prediction.names)
    observed |= source.columns
    if source.classes_of_instances is not None:
        observed["class"] = [SEVERAL.join(names) for names in source.classes_of_instances]
    if source.clusters is not None:
        observed["cluster"] = source.clusters.astype(str).tolist()
    observed |= {f"masked_{kind}": mask for kind, mask in prediction.masks.items()}
    return observed


def _write_facts(group: h5py.Group, source: ExportSource) -> None:
    facts = _write_group(group, "napari_mil")
    prediction = source.prediction
    _write_text(facts, "prediction", json.dumps(prediction.as_dict()))
    _write_text(facts, "classifier", str(prediction.classifier.get("name") or ""))
    _write_text(facts, "label", ", ".join(prediction.labels))
    _write_texts(facts, "classes", prediction.classes)
    _write_array(facts, "probabilities", prediction.probabilities)


def _write_region(group: h5py.Group) -> None:
    """Say which shapes the table annotates, as SpatialData does."""
    attributes = _write_group(group, "spatialdata_attrs")
    _write_text(attributes, "region", REGION)
    _write_text(attributes, "region_key", REGION_KEY)
    _write_text(attributes, "instance_key", INSTANCE_KEY)


def _write_picture(group: h5py.Group, source: ExportSource, cancel: CancellationToken) -> None:
    """Write scales, and the slide's picture where it is given, where squidpy looks for them."""
    library = _write_group(_write_group(group, "spatial"), REGION)
    factors = _write_group(library, "scalefactors")
    _write_number(factors, "spot_diameter_fullres", source.tile_size[0])
    if source.slide is None:
        return
    picture = source.slide.thumbnail((IMAGE_PX, IMAGE_PX), cancel)
    _write_array(_write_group(library, "images"), "hires", picture)
    scale = picture.shape[1] / source.slide.dimensions[0]
    _write_number(factors, "tissue_hires_scalef", scale)


def _mark(node: h5py.Group | h5py.Dataset, kind: str, version: str) -> None:
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version


def _write_group(parent: h5py.Group, name: str) -> h5py.Group:
    group = parent.create_group(name)
    _mark(group, "dict", "0.1.0")
    return group


def _write_array(parent: h5py.Group, name: str, values: np.ndarray) -> None:
    packing = {"compression": "gzip", "compression_opts": 4} if values.size >= 1024 else {}
    _mark(parent.create_dataset(name, data=values, **packing), "array", "0.2.0")


def _write_number(parent: h5py.Group, name: str, value: float) -> None:
    _mark(parent.create_dataset(name, data=value), "numeric-scalar", "0.2.0")


def _write_text(parent: h5py.Group, name: str, text: str) -> None:
    _mark(parent.create_dataset(name, data=text, dtype=TEXT), "string", "0.2.0")


def _write_texts(parent: h5py.Group, name: str, texts: Sequence[str]) -> None:
    dataset = parent.create_dataset(name, data=np.array(texts, object), dtype=TEXT)
    _mark(dataset, "string-array", "0.2.0")


def _write_frame(
    parent: h5py.Group,
    name: str,
    index: Sequence[str],
    columns: Mapping[str, np.ndarray | list[str]],
) -> None:
    """Write a data frame; texts become categories in the order of the alphabet."""
    frame = parent.create_group(name)
    _mark(frame, "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", np.array(list(columns), object), dtype=TEXT)
    _write_texts(frame, "_index", index)
    for key, values in columns.items():
        if isinstance(values, list):
            _write_categories(frame, key, values)
        else:
            _write_array(frame, key, values)


def _write_categories(parent: h5py.Group, name: str, texts: list[str]) -> None:
    categories, codes = np.unique(np.array(texts, object).astype(str), return_inverse=True)
    group = parent.create_group(name)
    _mark(group, "categorical", "0.2.0")
    group.attrs["ordered"] = False
    _write_texts(group, "categories", categories.tolist())
    smallest: Any = np.min_scalar_type(-len(categories) - 1)
    _write_array(group, "codes", codes.astype(smallest))
