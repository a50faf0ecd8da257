"""OME-Zarr folders as slides (OME-NGFF 0.4, 0.5 and the scales of 0.6)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.errors import UnreadableSlideError, short_cause
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides.backend import WholeLevels
from napari_mil.slides.channels import Channel, contrast_range, default_colour, render
from napari_mil.slides.damage import (
    Damage,
    DamagedPixelsError,
    Window,
    level0_box,
    read_around_damage,
)
from napari_mil.slides.folders import is_zarr
from napari_mil.slides.handle import SharedHandle
from napari_mil.slides.pixels import WHITE
from napari_mil.slides.resolution import MICROMETRES, ScaleSource

PURE_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
"""Colours of three channels that together are an RGB picture."""
LARGEST_ATTRIBUTES = 50_000_000
"""Bytes of a file of attributes at most."""
USUAL_AXES = "tczyx"


class ZarrBackend(WholeLevels):
    """The first image of an OME-Zarr, read chunk by chunk."""

    vendor = "ome-zarr"
    mpp_source = ScaleSource.OME
    associated_images: Mapping[str, np.ndarray] = {}

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage = Damage()
        self._handle = SharedHandle(path.name, lambda: None)
        try:
            self._open(path)
        except UnreadableSlideError:
            raise
        except Exception as error:  # zarr meets damage with errors of many kinds
            reason = short_cause(error)
            raise UnreadableSlideError(
                f"{path.name} is a Zarr that cannot be read as OME-Zarr ({reason})."
            ) from error

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Say whether it is the root folder of a Zarr."""
        return is_zarr(path)

    def _open(self, path: Path) -> None:
        # Imported here: it takes a while, and few slides need it.
        import zarr

        root, attributes = _image_of(path)
        multiscale = attributes["multiscales"][0]
        self._axes = _axis_names(multiscale)
        datasets = multiscale["datasets"]
        group = zarr.open_group(root, mode="r")
        self._arrays: list[Any] = [group[dataset["path"]] for dataset in datasets]
        self._folders = [root / dataset["path"] for dataset in datasets]
        self._stored: dict[int, np.ndarray] = {}
        first = self._arrays[0]
        if first.ndim != len(self._axes) or "y" not in self._axes or "x" not in self._axes:
            raise UnreadableSlideError(
                f"{path.name} has axes {self._axes!r} for arrays of {first.ndim} dimensions."
            )
        self.level_dimensions = tuple(
            (array.shape[self._axes.index("x")], array.shape[self._axes.index("y")])
            for array in self._arrays
        )
        width, height = self.level_dimensions[0]
        self.level_downsamples = tuple(
            (width / w + height / h) / 2 for w, h in self.level_dimensions
        )
        self.tile_sizes: tuple[tuple[int, int] | None, ...] = tuple(
            (array.chunks[self._axes.index("x")], array.chunks[self._axes.index("y")])
            for array in self._arrays
        )
        self.bounds = (0, 0, width, height)
        self.mpp_xy = _scale(multiscale)
        self._notes: Sequence[Mapping[str, Any]] = (attributes.get("omero") or {}).get(
            "channels", []
        )
        self.properties: Mapping[str, str] = {"openslide.vendor": self.vendor}
        self._check_levels(path)

    def _check_levels(self, path: Path) -> None:
        """Refuse levels that differ in more than their sides."""
        first = self._arrays[0]
        for array in self._arrays[1:]:
            pairs = zip(self._axes, first.shape, array.shape, strict=False)
            same = array.ndim == first.ndim and all(
                a == b for name, a, b in pairs if name not in "yxz"
            )
            if not same or array.dtype != first.dtype:
                raise UnreadableSlideError(
                    f"{path.name} has levels of different channels or types."
                )

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of attributes and chunks."""
        return (self._path, *sorted(path for path in self._path.rglob("*") if path.is_file()))

    @cached_property
    def quick_hash(self) -> str:
        """Hash of names, sizes and of the attributes."""
        digest = hashlib.sha256()
        for file in self.files[1:]:
            digest.update(f"{file.relative_to(self._path)}:{file.stat().st_size};".encode())
            if file.name in ("zarr.json", ".zattrs", ".zarray"):
                digest.update(file.read_bytes())
        coarsest = len(self._arrays) - 1
        width, height = self.level_dimensions[coarsest]
        sample = self.read_channels(coarsest, 0, 0, min(width, 512), min(height, 512))
        digest.update(sample.tobytes())
        return digest.hexdigest()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about the axes that are not shown."""
        words = []
        lengths = dict(zip(self._axes, self._arrays[0].shape, strict=True))
        if lengths.get("z", 1) > 1:
            words.append(f"the middle one of {lengths['z']} planes of depth")
        if lengths.get("t", 1) > 1:
            words.append(f"the first of {lengths['t']} moments")
        if not words:
            return ()
        text = f"The file is a stack; shown is {' and '.join(words)}."
        return (Finding(FindingKind.LEFT_OUT, self._path, text),)

    @property
    def missing(self) -> float:
        """Share of the finest level's chunks that have no file."""
        return 1 - float(self._is_stored(0).mean())

    def _is_stored(self, level: int) -> np.ndarray:
        """Return which chunks of the plane that is shown have a file: bool (down, across).

        One file of any channel is enough: writers leave out chunks that hold nothing but zeros.
        """
        if level not in self._stored:
            self._stored[level] = self._look_for_chunks(level)
        return self._stored[level]

    def _look_for_chunks(self, level: int) -> np.ndarray:
        array = self._arrays[level]
        folder = self._folders[level]
        names = {
            Path(parent, name).relative_to(folder).as_posix()
            for parent, _, files in os.walk(folder)
            for name in files
        }
        sides = dict(zip(self._axes, array.shards or array.chunks, strict=True))
        ranges = []
        for name, length in zip(self._axes, array.shape, strict=True):
            if name in "yxc":
                ranges.append(range(-(-length // sides[name])))
            else:
                shown = length // 2 if name == "z" else 0
                ranges.append(range(shown // sides[name], shown // sides[name] + 1))
        row_axis = self._axes.index("y")
        column_axis = self._axes.index("x")
        stored = np.zeros((len(ranges[row_axis]), len(ranges[column_axis])), bool)
        for place in product(*ranges):
            if array.metadata.encode_chunk_key(place) in names:
                stored[place[row_axis], place[column_axis]] = True
        return stored

    @property
    def _n_channels(self) -> int:
        return int(self._arrays[0].shape[self._axes.index("c")]) if "c" in self._axes else 1

    @cached_property
    def _is_rgb(self) -> bool:
        """Whether channels of 8 bits are red, green and blue, or one without a name: a picture."""
        if self._arrays[0].dtype != np.uint8:
            return False
        if not self._notes:
            return self._n_channels in (1, 3)
        colours = tuple(_colour(note.get("color")) for note in self._notes[:3])
        return self._n_channels == 3 and colours == PURE_COLOURS

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Channels with their names, colours and ranges; empty for a picture in colours."""
        if self._is_rgb:
            return ()
        count = self._n_channels
        coarsest = len(self._arrays) - 1
        width, height = self.level_dimensions[coarsest]
        sample = self.read_channels(coarsest, 0, 0, min(width, 1024), min(height, 1024))
        channels = []
        for k in range(count):
            note = self._notes[k] if k < len(self._notes) else {}
            label = note.get("label")
            channels.append(
                Channel(
                    f"Channel {k + 1}" if label in (None, "") else str(label),
                    _colour(note.get("color")) or default_colour(k, count),
                    _window(note) or contrast_range(sample[..., k]),
                    str(self._arrays[0].dtype),
                )
            )
        return tuple(channels)

    def read(self, level: int, column: int, row: int, width: int, height: int) -> np.ndarray:
        """Read a window that lies inside a level, uint8 (height, width, 3)."""
        tile = self.tile_sizes[level]
        assert tile is not None
        downsample = self.level_downsamples[level]
        return read_around_damage(
            lambda window: self._read(level, window),
            (column, row, width, height),
            tile,
            lambda part, reason: self.damage.add(level, level0_box(part, downsample), reason),
        )

    def _read(self, level: int, window: Window) -> np.ndarray:
        raw = self._raw(level, window)
        if self._is_rgb:
            pixels = np.array(np.broadcast_to(raw, (*raw.shape[:2], 3)), order="C")
            self._whiten_missing(pixels, level, window)
            return pixels
        return render(raw, self.channels)

    def _whiten_missing(self, pixels: np.ndarray, level: int, window: Window) -> None:
        """Make chunks without a file white that the array would fill with zeros."""
        array = self._arrays[level]
        stored = self._is_stored(level)
        if array.fill_value or stored.all():
            return
        sides = dict(zip(self._axes, array.shards or array.chunks, strict=True))
        column, row, width, height = window
        rows = np.arange(row, row + height) // sides["y"]
        columns = np.arange(column, column + width) // sides["x"]
        pixels[~stored[rows[:, None], columns]] = WHITE

    def read_channels(
        self, level: int, column: int, row: int, width: int, height: int
    ) -> np.ndarray:
        """Read raw values of a window that lies inside a level: (height, width, channels)."""
        window = (column, row, width, height)
        try:
            return self._raw(level, window)
        except DamagedPixelsError as error:
            self.damage.add(level, level0_box(window, self.level_downsamples[level]), str(error))
            return np.zeros((height, width, self._n_channels), self._arrays[0].dtype)

    def _raw(self, level: int, window: Window) -> np.ndarray:
        """Read (height, width, channels) of the plane that is shown."""
        column, row, width, height = window
        array = self._arrays[level]
        at: list[Any] = []
        for name, length in zip(self._axes, array.shape, strict=True):
            if name == "y":
                at.append(slice(row, row + height))
            elif name == "x":
                at.append(slice(column, column + width))
            elif name == "c":
                at.append(slice(None))
            else:
                at.append(length // 2 if name == "z" else 0)
        with self._handle.reading():
            try:
                values = np.asarray(array[tuple(at)])
            except Exception as error:  # codecs have errors of many kinds
                raise DamagedPixelsError(short_cause(error)) from error
        kept = [name for name in self._axes if name in "cyx"]
        if "c" not in kept:
            values = values[..., None]
            kept.append("c")
        order = [kept.index(name) for name in "yxc"]
        return np.ascontiguousarray(values.transpose(order))

    def close(self) -> None:
        """Refuse later reads."""
        self._handle.close()


def _image_of(path: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder of the first image in a Zarr and its attributes."""
    for folder in (path, path / "0"):
        attributes = _attributes(folder)
        if attributes.get("multiscales"):
            return folder, attributes
    raise UnreadableSlideError(
        f"{path.name} is a Zarr without an image as OME-Zarr describes it (no multiscales)."
    )


def _attributes(folder: Path) -> Mapping[str, Any]:
    """Read the attributes of OME, of either version of Zarr."""
    for name, inside in (("zarr.json", ("attributes", "ome")), (".zattrs", ())):
        file = folder / name
        if not file.is_file() or file.stat().st_size > LARGEST_ATTRIBUTES:
            continue
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        for key in inside:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if isinstance(found, dict) and found:
            return found
    return {}


def _axis_names(multiscale: Mapping[str, Any]) -> str:
    """Return the letters of the axes, in the order of the arrays."""
    axes = _axes(multiscale)
    names = [axis["name"] if isinstance(axis, dict) else str(axis) for axis in axes]
    return "".join(name.lower() for name in names) or USUAL_AXES


def _axes(multiscale: Mapping[str, Any]) -> Sequence[Any]:
    systems = multiscale.get("coordinateSystems")
    found: Sequence[Any] = systems[0]["axes"] if systems else multiscale.get("axes", ())
    return found


def _scale(multiscale: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return micrometres per pixel (x, y) of the finest level, or None without a unit."""
    names = _axis_names(multiscale)
    factors = np.ones(len(names))
    for holder in (multiscale["datasets"][0], multiscale):
        for step in holder.get("coordinateTransformations", ()):
            if step.get("type") == "scale" and "scale" in step:
                factors = factors * np.asarray(step["scale"], float)
    units = [axis.get("unit") if isinstance(axis, dict) else None for axis in _axes(multiscale)]
    found = []
    for name in "xy":
        k = names.index(name)
        micrometres = MICROMETRES.get(str(units[k]).lower()) if units else None
        if micrometres is None:
            return None
        found.append(float(factors[k]) * micrometres)
    return found[0], found[1]


def _colour(text: Any) -> tuple[int, int, int] | None:
    """Return the colour of six hexadecimal digits, or None."""
    digits = str(text or "").lstrip("#")
    try:
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    except ValueError:
        return None


def _window(note: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the range that a channel is shown with, or None."""
    window = note.get("window", {})
    try:
        low = float(window["start"])
        high = float(window["end"])
    except (KeyError, TypeError, ValueError):
        return None
    return (low, high) if high > low else None
