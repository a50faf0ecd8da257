"""OME-Zarr 0.5 of the instance values, a pixel a tile, with labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.exports.colours import colour_of_class
from napari_mil.exports.maps import LIMITS, split_key, title_of
from napari_mil.exports.source import ExportSource, Grouping

VERSION = "0.5"
CHUNK = 1024
"""Side of a chunk in pixels."""
MASKED = "masked"
NO_SCALE = (
    "The scale of the slide is unknown: positions in the OME-Zarr are in level-0 pixels, "
    "without a unit."
)
SHARED_CELLS = (
    "{n} tiles share a pixel of the OME-Zarr with another one, since they lie on no lattice; "
    "a table holds them all."
)


def write_ome_zarr(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Fill a folder with an image and labels; see `exporting.Writer`.

    The image is float32 (columns, rows of tiles, columns of tiles), NaN where there is no tile.
    The labels ``tiles`` hold the number of each tile plus one, ``classes`` that of its class plus
    one, ``masked_<kind>`` 1 where it is masked; 0 is no tile. Scale and translation put the centre
    of each pixel on the centre of its tile, in µm from the centre of level-0 pixel (0, 0).
    """
    # Imported here: it takes a while, and few exports need it.
    import zarr

    writer = _ZarrWriter(source)
    root = zarr.open_group(path, mode="w", zarr_format=3)
    columns = source.columns
    if columns:
        image = np.stack([writer.spread(values) for values in columns.values()])
        _write_array(root, image, ("c", "y", "x"))
        root.attrs["ome"] = {
            "version": VERSION,
            "multiscales": [writer.multiscale("values", ("c", "y", "x"))],
            "omero": {"channels": [_channel(key, values) for key, values in columns.items()]},
        }
    labels = root.create_group("labels")
    names = []
    for name, (pixels, notes) in writer.labels().items():
        cancel.raise_if_cancelled()
        group = labels.create_group(name)
        _write_array(group, pixels, ("y", "x"))
        group.attrs["ome"] = {
            "version": VERSION,
            "multiscales": [writer.multiscale(name, ("y", "x"))],
            "image-label": {**notes, "source": {"image": "../../"}},
        }
        names.append(name)
    labels.attrs["ome"] = {"version": VERSION, "labels": names}
    return writer.remarks


class _ZarrWriter:
    """Pixels and places of one answer."""

    def __init__(self, source: ExportSource) -> None:
        self._source = source
        self._layout = source.layout
        remarks = []
        if source.mpp_xy is None:
            remarks.append(NO_SCALE)
        n_cells = len(np.unique(self._layout.cells, axis=0))
        if n_cells < len(self._layout):
            remarks.append(SHARED_CELLS.format(n=len(self._layout) - n_cells))
        self.remarks = tuple(remarks)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return float32 (rows, columns) of values."""
        return self._layout.spread(np.arange(len(self._layout)), values)

    def labels(self) -> dict[str, tuple[np.ndarray, Mapping[str, Any]]]:
        """Return pixels (rows, columns) and properties of each label image."""
        source = self._source
        labels: dict[str, tuple[np.ndarray, Mapping[str, Any]]] = {
            "tiles": (self._filled(np.arange(1, len(self._layout) + 1), np.uint32), {})
        }
        of_instances = source.classes_of_instances
        if of_instances is not None and source.prediction.label is not None:
            classes = source.prediction.classes
            numbers = np.array([classes.index(names[0]) + 1 for names in of_instances])
            labels["classes"] = (self._filled(numbers, np.uint16), _class_notes(classes))
        if source.clusters is not None and source.grouping is not None:
            notes = _cluster_notes(source.grouping)
            labels["clusters"] = (self._filled(source.clusters, np.uint16), notes)
        for kind, mask in source.prediction.masks.items():
            labels[f"{MASKED}_{kind}"] = (self._filled(mask, np.uint8), {})
        return labels

    def _filled(self, values: np.ndarray, dtype: type[np.unsignedinteger[Any]]) -> np.ndarray:
        pixels = np.zeros(self._layout.shape, dtype)
        rows, columns = self._layout.cells.T
        pixels[rows, columns] = values
        return pixels

    def multiscale(self, name: str, axes: tuple[str, ...]) -> dict[str, Any]:
        """Return the entry of an image with one level."""
        layout = self._layout
        unit = {} if self._source.mpp_xy is None else {"unit": "micrometer"}
        mpp_x, mpp_y = self._source.mpp_xy or (1.0, self._source.aspect)
        # A cell covers the stride that is centred on its tile; the centre of level-0 pixel 0 is 0.
        (x, y), (width, height) = layout.origin, layout.size0
        scale = {"x": layout.stride0 * mpp_x, "y": layout.stride0 / layout.aspect * mpp_y}
        centre = {"x": (x + (width - 1) / 2) * mpp_x, "y": (y + (height - 1) / 2) * mpp_y}
        return {
            "name": name,
            "axes": [
                {"name": axis, "type": "channel"}
                if axis == "c"
                else {"name": axis, "type": "space", **unit}
                for axis in axes
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [scale.get(axis, 1.0) for axis in axes]},
                        {
                            "type": "translation",
                            "translation": [centre.get(axis, 0.0) for axis in axes],
                        },
                    ],
                }
            ],
        }


def _write_array(group: Any, pixels: np.ndarray, axes: tuple[str, ...]) -> None:
    chunks = tuple(
        1 if axis == "c" else min(side, CHUNK)
        for axis, side in zip(axes, pixels.shape, strict=True)
    )
    fill = np.nan if pixels.dtype == np.float32 else 0
    with warnings.catch_warnings():
        # zarr compares what it writes with NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        array = group.create_array(
            "0",
            shape=pixels.shape,
            chunks=chunks,
            dtype=pixels.dtype,
            fill_value=fill,
            dimension_names=axes,
        )
        array[...] = pixels


def _channel(key: str, values: np.ndarray) -> dict[str, Any]:
    """Return how a column is shown at first."""
    known = values[np.isfinite(values)]
    kind, _ = split_key(key)
    low, high = LIMITS.get(kind) or (
        (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    )
    if high <= low:
        high = low + 1.0
    window = {"start": low, "end": high, "min": low, "max": high}
    return {"label": title_of(key), "color": "FFFFFF", "active": True, "window": window}


def _class_notes(classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "colors": [
            {"label-value": k + 1, "rgba": [*colour_of_class(k), 255]} for k in range(len(classes))
        ],
        "properties": [{"label-value": k + 1, "class": name} for k, name in enumerate(classes)],
    }


def _cluster_notes(grouping: Grouping) -> dict[str, Any]:
    return {
        "colors": [
            {"label-value": k, "rgba": [*bytes.fromhex(group.glyph.colour[1:]), 255]}
            for k, group in enumerate(grouping.groups, 1)
        ]
    }
