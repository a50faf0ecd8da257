"""GeoJSON of tiles, as QuPath 0.5 and later read it."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.events import CancellationToken
from napari_mil.exports.colours import colour_of_class
from napari_mil.exports.maps import title_of
from napari_mil.exports.source import Corner, ExportSource

AT_ONCE = 1000
"""Tiles whose text is in memory at once."""
NAMESPACE = uuid.UUID("3e1d0f0c-6a5c-5b0e-9a55-2d7f1c1b6e0a")
"""Fixed, so that a tile has the same id in every export and a second import replaces it."""
UNKNOWN_ORIGIN = (
    "Positions count from the corner of the whole canvas, since the answer does not say what "
    "part of it is stored; give the slide if QuPath shows the tiles beside the tissue."
)


def write_geojson(source: ExportSource, path: Path, cancel: CancellationToken) -> tuple[str, ...]:
    """Write a FeatureCollection with a polygon for each tile; see `exporting.Writer`.

    Tiles carry their class where instances have scores, and their values as measurements; what is
    no number is left out, as JSON has none.
    """
    collection = _Collection(source)
    with path.open("w", encoding="utf-8") as file:
        file.write(collection.head())
        for start in range(0, source.prediction.n_instances, AT_ONCE):
            cancel.raise_if_cancelled()
            file.write(",\n" if start else "\n")
            file.write(",\n".join(collection.features(start, start + AT_ONCE)))
        file.write("\n]}\n")
    return collection.remarks


class _Collection:
    """Texts of the features of one answer."""

    def __init__(self, source: ExportSource) -> None:
        self._source = source
        self._origin = (0, 0)
        self.remarks: tuple[str, ...] = ()
        if source.choices.corner is Corner.STORED:
            self._origin = source.origin or (0, 0)
            if source.origin is None:
                self.remarks = (UNKNOWN_ORIGIN,)
        slide = source.prediction.slide.get("fingerprint", "")
        classifier = source.prediction.classifier.get("fingerprint", "")
        self._identity = f"{slide}:{classifier}"

    def head(self) -> str:
        """Return the beginning of the document, up to the first feature.

        The answer as a whole stands in a member of its own, which readers of GeoJSON skip.
        """
        facts = {**self._source.prediction.as_dict(), "origin": list(self._origin)}
        text = json.dumps(facts, ensure_ascii=False)
        return f'{{"type":"FeatureCollection","napari_mil":{text},"features":['

    def features(self, start: int, end: int) -> Iterator[str]:
        """Yield the features of tiles `start` up to `end`."""
        source = self._source
        corners = source.corners[start:end].tolist()
        measured = self._measured(start, end)
        classes = source.classes_of_instances
        for k, (corner, values) in enumerate(zip(corners, measured, strict=True), start):
            names = () if classes is None else classes[k]
            yield self._feature(k, corner, values, names)

    def _feature(self, k: int, corner: list[int], measurements: str, names: tuple[str, ...]) -> str:
        x, y = (value - shift for value, shift in zip(corner, self._origin, strict=True))
        right, bottom = (
            side + value for side, value in zip(self._source.tile_size, (x, y), strict=True)
        )
        ring = [[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]
        properties = [
            f'"objectType":"{self._source.choices.objects}"',
            *self._classification(names),
            *self._name(k),
            '"isLocked":true',
            f'"measurements":{{{measurements}}}',
        ]
        return (
            f'{{"type":"Feature","id":"{self._id(corner)}",'
            f'"geometry":{{"type":"Polygon","coordinates":[{json.dumps(ring)}]}},'
            f'"properties":{{{",".join(properties)}}}}}'
        )

    def _id(self, corner: list[int]) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, f"{self._identity}:{corner[0]}:{corner[1]}")

    def _classification(self, names: tuple[str, ...]) -> list[str]:
        if not names:
            return []
        colour = colour_of_class(self._source.prediction.classes.index(names[0]))
        entry: dict[str, Any] = {"name": names[0]} if len(names) == 1 else {"names": names}
        return [f'"classification":{json.dumps({**entry, "color": colour}, ensure_ascii=False)}']

    def _name(self, k: int) -> list[str]:
        """Return the name of a critical tile."""
        names = self._critical.get(k)
        if names is None:
            return []
        words = f"critical: {', '.join(names)}"
        return [f'"name":{json.dumps(words, ensure_ascii=False)}']

    @cached_property
    def _critical(self) -> dict[int, tuple[str, ...]]:
        return self._source.critical_names

    @cached_property
    def _measurements(self) -> list[tuple[str, np.ndarray]]:
        """Values by the beginning of their member, ``"attention":``."""
        prediction = self._source.prediction
        columns = {title_of(key): values for key, values in self._source.columns.items()}
        columns |= {f"masked: {kind}": mask for kind, mask in prediction.masks.items()}
        if self._source.clusters is not None:
            columns["cluster"] = self._source.clusters
        return [
            (f"{json.dumps(title, ensure_ascii=False)}:", values)
            for title, values in columns.items()
        ]

    def _measured(self, start: int, end: int) -> Iterator[str]:
        """Yield the members of the measurements of tiles, without braces."""
        # The shortest text of a float32 that reads back to the same bits.
        columns = [
            [
                f"{member}{text}" if math.isfinite(float(text)) else ""
                for text in _numbers(values[start:end])
            ]
            for member, values in self._measurements
        ]
        n = len(self._source.corners[start:end])
        for k in range(n):
            yield ",".join(filter(None, (column[k] for column in columns)))


def _numbers(values: np.ndarray) -> list[str]:
    """Return the texts of numbers; of masks, 0 and 1."""
    numbers = values.astype(int) if values.dtype == bool else values
    return numbers.astype(str).tolist()
