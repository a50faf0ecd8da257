"""The answer to one bag: what every view, export and report reads."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mil.bags import Bag
from napari_mil.errors import OutputError

if TYPE_CHECKING:
    from napari_mil.aggregators import MergeTree

SCHEMA = "napari-mil/prediction/1"
PREDICTION_FILE, INSTANCES_FILE, TREE_FILE = "prediction.json", "instances.csv", "tree.csv"
MASKED = "masked_"
"""Columns of masks begin so."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One classifier's answer for one slide or bag of N instances; C classes.

    `save` and `load` round-trip everything but `features`.
    """

    classes: tuple[str, ...]
    logits: np.ndarray
    """float32 (C,), or (1,) for one sigmoid unit: as the aggregator gave them."""
    probabilities: np.ndarray
    """float32 (C,): after temperature, one per class in that order."""
    label: str | None
    """The predicted class; None for multi-label answers."""
    labels: tuple[str, ...]
    """All predicted classes: one, or for multi-label answers any number."""
    coords: np.ndarray | None
    """int64 (N, 2): (x, y) in level-0 pixels; None for bags of images."""
    tile_size0: float | None
    """Side of a tile in level-0 pixels, exact."""
    names: tuple[str, ...] | None = None
    """Names of the instances of an image bag."""
    attention: np.ndarray | None = None
    """float32 (N, K): each column sums to 1."""
    instance_scores: np.ndarray | None = None
    """float32 (N, C): probability of each class for each instance alone."""
    critical: np.ndarray | None = None
    """int64: index of the top instance of each logit."""
    similarity: np.ndarray | None = None
    """float32 (N,): cosine of each instance to the aggregate, where the method has it."""
    tree: MergeTree | None = None
    """The merges of the bag: of a hierarchical method, or asked for (see `explanation.with_tree`)."""
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    """bool (N,) by kind, where instances were masked."""
    slide: Mapping[str, Any] = field(default_factory=dict)
    """name, fingerprint, dimensions, mpp, vendor; nothing else of a slide is kept."""
    classifier: Mapping[str, Any] = field(default_factory=dict)
    """name, fingerprint, aggregator, encoder, temperature, threshold."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Fingerprint and scale of the grid, versions, device, fallbacks, seconds."""
    features: Bag | None = None
    """The bag it was computed from, while it is in memory."""

    @property
    def n_instances(self) -> int:
        """N."""
        return len(self.coords if self.coords is not None else self.names or ())

    def columns(self) -> dict[str, np.ndarray]:
        """Return per-instance values by column name: ``attention`` or one per class or head, ``score_<class>``, ``similarity``."""
        return instance_columns(self.classes, self.attention, self.instance_scores, self.similarity)

    def anonymous(self) -> Prediction:
        """Return the same answer without the slide's name."""
        return replace(
            self, slide={key: value for key, value in self.slide.items() if key != "name"}
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds."""
        return {
            "schema": SCHEMA,
            "slide": dict(self.slide),
            "classifier": dict(self.classifier),
            "classes": list(self.classes),
            "probabilities": {
                name: float(p) for name, p in zip(self.classes, self.probabilities, strict=True)
            },
            "label": self.label,
            "labels": list(self.labels),
            "logits": [float(value) for value in self.logits],
            "critical": None if self.critical is None else [int(index) for index in self.critical],
            "tree": None if self.tree is None else TREE_FILE,
            "n_instances": self.n_instances,
            "tile_size0": self.tile_size0,
            "provenance": dict(self.provenance),
        }

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``prediction.json``, ``instances.csv`` and, where there is one, ``tree.csv`` into a folder, made if need be.

        All are written beside and renamed; ``prediction.json`` comes last, so that where it stands the answer is whole.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        target = Path(folder)
        try:
            for left_over in target.glob(".partial-*") if target.is_dir() else ():
                shutil.rmtree(
                    left_over, ignore_errors=True
                )  # of a run that was killed while it wrote
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=target) as beside:
                table, tree, answer = (
                    Path(beside, INSTANCES_FILE),
                    Path(beside, TREE_FILE),
                    Path(beside, PREDICTION_FILE),
                )
                self._write_table(table)
                self._write_tree(tree)
                answer.write_text(
                    json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n",
                    encoding="utf-8",
                )
                (target / PREDICTION_FILE).unlink(missing_ok=True)
                os.replace(table, target / INSTANCES_FILE)
                if tree.exists():
                    os.replace(tree, target / TREE_FILE)
                else:
                    (target / TREE_FILE).unlink(missing_ok=True)
                os.replace(answer, target / PREDICTION_FILE)
        except OSError as error:
            raise OutputError(
                f"Results cannot be written to {target} ({error.strerror or error}); choose another folder."
            ) from error

    def _write_table(self, path: Path) -> None:
        table: dict[str, Sequence[str]] = {}
        if self.coords is not None:
            side = [repr(self.tile_size0)] * len(self.coords)
            table = {
                "x": self.coords[:, 0].astype(str).tolist(),
                "y": self.coords[:, 1].astype(str).tolist(),
                "width": side,
                "height": side,
            }
        if self.names is not None:
            table["name"] = self.names
        # float32's shortest text that reads back to the same bits.
        table.update({name: values.astype(str).tolist() for name, values in self.columns().items()})
        table.update(
            {
                f"{MASKED}{kind}": mask.astype(int).astype(str).tolist()
                for kind, mask in self.masks.items()
            }
        )
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))

    def _write_tree(self, path: Path) -> None:
        if self.tree is not None:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(("left", "right", "new", "height"))
                writer.writerows(
                    (*triplet, repr(height))
                    for triplet, height in zip(
                        self.tree.triplets.tolist(), self.tree.heights.tolist(), strict=True
                    )
                )

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Prediction:
        """Read what `save` wrote.

        Raises
        ------
        OutputError
            If there is no complete prediction in the folder.
        """
        source = Path(folder)
        try:
            entries = json.loads((source / PREDICTION_FILE).read_text(encoding="utf-8"))
            if entries["schema"] != SCHEMA:
                raise ValueError(f"schema {entries['schema']}")
            with (source / INSTANCES_FILE).open(newline="", encoding="utf-8") as file:
                rows = csv.reader(file)
                header = next(rows)
                columns = dict(zip(header, zip(*rows, strict=True), strict=False)) or dict.fromkeys(
                    header, ()
                )
            prediction = cls._from_files(entries, columns)
            return (
                replace(prediction, tree=_read_tree(source / TREE_FILE))
                if entries.get("tree")
                else prediction
            )
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            StopIteration,
        ) as error:
            raise OutputError(
                f"{source} holds no complete prediction ({error}); classify the slide again."
            ) from error

    @classmethod
    def _from_files(
        cls, entries: Mapping[str, Any], columns: Mapping[str, Sequence[str]]
    ) -> Prediction:
        coords = (
            np.stack([np.array(columns[axis], np.int64) for axis in "xy"], 1)
            if "x" in columns
            else None
        )
        attention = [
            np.array(values, np.float32)
            for name, values in columns.items()
            if name.split("_")[0] == "attention"
        ]
        scores = [
            np.array(values, np.float32)
            for name, values in columns.items()
            if name.startswith("score_")
        ]
        return cls(
            classes=tuple(entries["classes"]),
            logits=np.array(entries["logits"], np.float32),
            probabilities=np.array(list(entries["probabilities"].values()), np.float32),
            label=entries["label"],
            labels=tuple(entries["labels"]),
            coords=coords,
            tile_size0=entries["tile_size0"],
            names=tuple(columns["name"]) if "name" in columns else None,
            attention=np.stack(attention, 1) if attention else None,
            instance_scores=np.stack(scores, 1) if scores else None,
            critical=None
            if entries["critical"] is None
            else np.array(entries["critical"], np.int64),
            similarity=np.array(columns["similarity"], np.float32)
            if "similarity" in columns
            else None,
            masks={
                name.removeprefix(MASKED): np.array(values, np.int64) > 0
                for name, values in columns.items()
                if name.startswith(MASKED)
            },
            slide=entries["slide"],
            classifier=entries["classifier"],
            provenance=entries["provenance"],
        )


def _read_tree(path: Path) -> MergeTree:
    from napari_mil.aggregators import MergeTree  # loads torch

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return MergeTree(
        np.array([row[:3] for row in rows], np.int64).reshape(-1, 3),
        np.array([row[3] for row in rows], np.float64),
    )


def instance_columns(
    classes: tuple[str, ...],
    attention: np.ndarray | None,
    scores: np.ndarray | None,
    similarity: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Name the columns of attention (N, K), of instance scores (N, C) and of similarity (N,)."""
    columns: dict[str, np.ndarray] = {}
    if attention is not None:
        heads = attention.shape[1]
        names = (
            [""]
            if heads == 1
            else [f"_{name}" for name in classes]
            if heads == len(classes)
            else [f"_{k + 1}" for k in range(heads)]
        )
        columns.update({f"attention{name}": attention[:, k] for k, name in enumerate(names)})
    if scores is not None:
        columns.update({f"score_{name}": scores[:, c] for c, name in enumerate(classes)})
    if similarity is not None:
        columns["similarity"] = similarity
    return columns
