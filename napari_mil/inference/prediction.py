"""Predictions: the answer of a classifier for one bag."""

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
from napari_mil.inference.likeness import Unlikeness

if TYPE_CHECKING:
    from napari_mil.aggregators import MergeTree

SCHEMA = "napari-mil/prediction/1"
PREDICTION_FILE, INSTANCES_FILE, TREE_FILE = "prediction.json", "instances.csv", "tree.csv"
UNLIKE = "unlike"
"""Entry of ``prediction.json`` and column of ``instances.csv``."""
ALONE = "alone"
"""Kind of column: probability of a class by an instance as a bag of its own."""
CONTRIBUTION = "contribution"
"""Kind of column: what an instance adds to the log-odds of a class."""
EVIDENCE = (f"{ALONE}_", f"{CONTRIBUTION}_")
"""Beginnings of the names of columns of evidence."""
MASKED = "masked_"
"""Beginning of the names of mask columns."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Answer of a classifier for one slide or bag.

    N instances, C classes, K attention heads. `save` and `load` round-trip everything but
    `features`.
    """

    classes: tuple[str, ...]
    logits: np.ndarray
    """float32 (C,), or (1,) for one sigmoid unit.

    As the aggregator gave them, before temperature.
    """
    probabilities: np.ndarray
    """float32 (C,): one per class, after temperature."""
    label: str | None
    """Predicted class; None for multi-label answers."""
    labels: tuple[str, ...]
    """Predicted classes: one, or any number if multi-label."""
    coords: np.ndarray | None
    """int64 (N, 2): (x, y) in level-0 pixels; None for bags of images."""
    tile_size0: float | None
    """Side of a tile in level-0 pixels, exact."""
    names: tuple[str, ...] | None = None
    """Names of the instances of an image bag."""
    attention: np.ndarray | None = None
    """float32 (N, K): each column sums to 1."""
    instance_scores: np.ndarray | None = None
    """float32 (N, C): class probabilities of each instance alone."""
    critical: np.ndarray | None = None
    """int64: index of the top instance of each logit."""
    similarity: np.ndarray | None = None
    """float32 (N,): cosine of each instance to the aggregate.

    None where the method has no such value.
    """
    unlikeness: Unlikeness | None = None
    """How unlike the training data instances and bag are; None where the bundle cannot tell."""
    evidence: Mapping[str, np.ndarray] = field(default_factory=dict)
    """float32 (N,) by column: ``alone_<class>``, ``contribution_<class>``, where they were asked
    for (see `inference.evidence`)."""
    tree: MergeTree | None = None
    """Merges of the bag, or None.

    They are a hierarchical method's own, or were asked for (see `explanation.with_tree`).
    """
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    """bool (N,) by kind, where instances were masked."""
    slide: Mapping[str, Any] = field(default_factory=dict)
    """name, fingerprint, dimensions, mpp and vendor of the slide.

    Nothing else of a slide is kept.
    """
    classifier: Mapping[str, Any] = field(default_factory=dict)
    """name, fingerprint, aggregator, encoder, temperature, threshold."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Fingerprint and scale of the grid, versions, device, fallbacks, seconds."""
    features: Bag | None = None
    """Bag it was computed from, while in memory."""

    @property
    def n_instances(self) -> int:
        """Number of instances, N."""
        return len(self.coords if self.coords is not None else self.names or ())

    def columns(self) -> dict[str, np.ndarray]:
        """Return per-instance values by column name; see `instance_columns`."""
        columns = instance_columns(
            self.classes, self.attention, self.instance_scores, self.similarity
        )
        if self.unlikeness is not None:
            columns[UNLIKE] = self.unlikeness.instances
        return {**columns, **self.evidence}

    def anonymous(self) -> Prediction:
        """Return the same answer without the slide's name."""
        slide = {key: value for key, value in self.slide.items() if key != "name"}
        return replace(self, slide=slide)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``prediction.json``."""
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
            UNLIKE: None if self.unlikeness is None else _unlike_entries(self.unlikeness),
            "n_instances": self.n_instances,
            "tile_size0": self.tile_size0,
            "provenance": dict(self.provenance),
        }

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the answer into a folder, made if need be.

        The files are ``prediction.json``, ``instances.csv`` and, where there is a tree,
        ``tree.csv``. All are written beside and renamed; ``prediction.json`` comes last, so that
        the answer is whole where it stands.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        target = Path(folder)
        try:
            if target.is_dir():
                # A run that was killed while it wrote leaves such folders.
                for left_over in target.glob(".partial-*"):
                    shutil.rmtree(left_over, ignore_errors=True)
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=target) as part:
                self._write_files(Path(part))
                _replace_files(Path(part), target)
        except OSError as error:
            raise OutputError(
                f"Results cannot be written to {target} ({error.strerror or error}); "
                "choose another folder."
            ) from error

    def _write_files(self, folder: Path) -> None:
        self._write_table(folder / INSTANCES_FILE)
        self._write_tree(folder / TREE_FILE)
        text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n"
        (folder / PREDICTION_FILE).write_text(text, encoding="utf-8")

    @property
    def tile_height0(self) -> float | None:
        """Height of a tile in level-0 pixels; other than its width where pixels are no squares."""
        if self.tile_size0 is None:
            return None
        aspect = self.provenance.get("grid", {}).get("aspect", 1.0)
        return self.tile_size0 if aspect == 1 else float(self.tile_size0 / aspect)

    def texts(self) -> dict[str, Sequence[str]]:
        """Return the texts of ``instances.csv`` by column, one for each instance."""
        table: dict[str, Sequence[str]] = {}
        if self.coords is not None:
            n = len(self.coords)
            table = {
                "x": self.coords[:, 0].astype(str).tolist(),
                "y": self.coords[:, 1].astype(str).tolist(),
                "width": [repr(self.tile_size0)] * n,
                "height": [repr(self.tile_height0)] * n,
            }
        if self.names is not None:
            table["name"] = self.names
        # This is the shortest text of a float32 that reads back to the same bits.
        table.update({name: values.astype(str).tolist() for name, values in self.columns().items()})
        for kind, mask in self.masks.items():
            table[f"{MASKED}{kind}"] = mask.astype(int).astype(str).tolist()
        return table

    def _write_table(self, path: Path) -> None:
        table = self.texts()
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows(zip(*table.values(), strict=True))

    def _write_tree(self, path: Path) -> None:
        if self.tree is None:
            return
        merges = zip(self.tree.triplets.tolist(), self.tree.heights.tolist(), strict=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("left", "right", "new", "height"))
            writer.writerows((*triplet, repr(height)) for triplet, height in merges)

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
            prediction = cls._from_files(entries, _read_columns(source / INSTANCES_FILE))
            if entries.get("tree"):
                prediction = replace(prediction, tree=_read_tree(source / TREE_FILE))
            return prediction
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
        """Build a prediction.

        Parameters
        ----------
        entries
            Content of ``prediction.json``.
        columns
            Texts of ``instances.csv`` by column.
        """
        coords = None
        if "x" in columns:
            coords = np.stack([np.array(columns[axis], np.int64) for axis in "xy"], 1)
        attention = [name for name in columns if name.split("_")[0] == "attention"]
        scores = [name for name in columns if name.startswith("score_")]
        critical = entries["critical"]
        similarity = columns.get("similarity")
        unlike = entries.get(UNLIKE)
        return cls(
            classes=tuple(entries["classes"]),
            logits=np.array(entries["logits"], np.float32),
            probabilities=np.array(list(entries["probabilities"].values()), np.float32),
            label=entries["label"],
            labels=tuple(entries["labels"]),
            coords=coords,
            tile_size0=entries["tile_size0"],
            names=tuple(columns["name"]) if "name" in columns else None,
            attention=_stack_columns(columns, attention),
            instance_scores=_stack_columns(columns, scores),
            critical=None if critical is None else np.array(critical, np.int64),
            similarity=None if similarity is None else np.array(similarity, np.float32),
            unlikeness=None
            if unlike is None
            else Unlikeness(np.array(columns[UNLIKE], np.float32), float(unlike["bag"])),
            evidence={
                name: np.array(values, np.float32)
                for name, values in columns.items()
                if name.startswith(EVIDENCE)
            },
            masks={
                name.removeprefix(MASKED): np.array(values, np.int64) > 0
                for name, values in columns.items()
                if name.startswith(MASKED)
            },
            slide=entries["slide"],
            classifier=entries["classifier"],
            provenance=entries["provenance"],
        )


def _unlike_entries(unlikeness: Unlikeness) -> dict[str, Any]:
    """Return what ``prediction.json`` says of how unlike a bag is."""
    return {
        "bag": unlikeness.bag,
        "is_unlike": unlikeness.is_unlike,
        "share": unlikeness.share,
    }


def instance_columns(
    classes: tuple[str, ...],
    attention: np.ndarray | None,
    scores: np.ndarray | None,
    similarity: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return per-instance values by column name.

    Names are ``attention``, or one such per class or head; ``score_<class>``; ``similarity``.

    Parameters
    ----------
    classes
        Names of the C classes.
    attention
        (N, K), or None.
    scores
        Instance scores (N, C), or None.
    similarity
        (N,), or None.
    """
    columns: dict[str, np.ndarray] = {}
    if attention is not None:
        for k, ending in enumerate(_head_endings(attention.shape[1], classes)):
            columns[f"attention{ending}"] = attention[:, k]
    if scores is not None:
        columns.update({f"score_{name}": scores[:, c] for c, name in enumerate(classes)})
    if similarity is not None:
        columns["similarity"] = similarity
    return columns


def _head_endings(n_heads: int, classes: tuple[str, ...]) -> list[str]:
    """Return the endings that tell attention heads apart."""
    if n_heads == 1:
        return [""]
    if n_heads == len(classes):
        return [f"_{name}" for name in classes]
    return [f"_{k + 1}" for k in range(n_heads)]


def _replace_files(part: Path, target: Path) -> None:
    """Move the files of an answer to its folder, ``prediction.json`` last."""
    (target / PREDICTION_FILE).unlink(missing_ok=True)
    os.replace(part / INSTANCES_FILE, target / INSTANCES_FILE)
    if (part / TREE_FILE).exists():
        os.replace(part / TREE_FILE, target / TREE_FILE)
    else:
        (target / TREE_FILE).unlink(missing_ok=True)
    os.replace(part / PREDICTION_FILE, target / PREDICTION_FILE)


def _read_columns(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the texts of a table by column; without rows, empty columns."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows)
        columns = dict(zip(header, zip(*rows, strict=True), strict=False))
    return columns or dict.fromkeys(header, ())


def _stack_columns(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> np.ndarray | None:
    """Return the named columns as float32 (N, len(names)), or None without names."""
    if not names:
        return None
    return np.stack([np.array(columns[name], np.float32) for name in names], 1)


def _read_tree(path: Path) -> MergeTree:
    # Loads torch.
    from napari_mil.aggregators import MergeTree

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return MergeTree(
        np.array([row[:3] for row in rows], np.int64).reshape(-1, 3),
        np.array([row[3] for row in rows], np.float64),
    )
