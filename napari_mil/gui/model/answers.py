"""Answers of classifiers, what they were made from, and what was asked of them since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.exports.glyphs import MASK_GLYPHS, Group, cluster_glyph
from napari_mil.gui.model.mining import Masks, Mining
from napari_mil.gui.model.what_if import WhatIf
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.projections import Method, Projection


@dataclass(frozen=True)
class Inputs:
    """What an answer was made from, or would be made from now."""

    mpp: float | None
    """Scale of the subject."""
    tissue: int | None
    """Version of the tissue; None for the whole image, -1 where it is still to be detected."""
    level: int | None
    """Level whose pixels are the tiles."""
    classifier: ClassifierCard


class Linkage(StrEnum):
    """How the distance of two clusters is measured while a tree grows."""

    WARD = "ward"
    AVERAGE = "average"
    OWN = "own"
    """The merges of the classifier itself (HAMIL)."""
    SINGLE = "single"


@dataclass(frozen=True, eq=False)
class Answer:
    """What a classifier said about a subject."""

    subject: int
    """Key of the subject."""
    inputs: Inputs
    layout: Layout
    prediction: Any
    """An `inference.prediction.Prediction`."""
    columns: Mapping[str, np.ndarray]
    """Values (N,) of the instances by column of the prediction."""
    remarks: tuple[str, ...] = ()
    """What is less certain than it looks, one sentence each."""
    trees: Mapping[Linkage, Any] = field(default_factory=dict)
    """Trees of the bag that were grown, as `MergeTree`."""
    ungrown: frozenset[Linkage] = frozenset()
    """Trees that were asked for in vain, or cancelled."""
    masks: Mapping[Mining, Masks] = field(default_factory=dict)
    """Masks by mining strategy and shares, the newest last."""
    projections: Mapping[Method, Projection] = field(default_factory=dict)
    """Layouts of the bag in two dimensions that were asked for."""
    evidence: Any = None
    """An `inference.evidence.Evidence`, once it was asked for."""
    what_if: WhatIf = field(default_factory=WhatIf)
    """Instances that were taken out to see what becomes of the answer."""
    folder: Path | None = None
    """Folder that it was read from; what is taken out is kept there."""
    outdated: tuple[str, ...] = ()
    """What was other on disk than when it was made, as clauses."""

    @property
    def card(self) -> ClassifierCard:
        """Classifier that answered."""
        return self.inputs.classifier

    @property
    def classifier(self) -> str:
        """Name of the classifier that answered."""
        return self.card.name


@dataclass(frozen=True, eq=False)
class Run:
    """A classification that is under way."""

    number: int
    """Number that no other run of the session has."""
    subject: int
    inputs: Inputs
    phase: str
    """What happens before tiles are counted."""
    layout: Layout | None = None
    total: int = 0
    done: int = 0
    rate: float = 0.0
    eta: float | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Values (N,) so far, NaN where there is none yet."""
    remarks: tuple[str, ...] = ()
    cancelling: bool = False


@dataclass(frozen=True)
class Inquiry:
    """A question about an answer that is being worked on."""

    subject: int
    classifier: str
    linkage: Linkage | None = None
    """Tree that grows; None where something else is asked for."""
    mining: Mining | None = None
    """Mining whose masks are asked for; without tree or mining, the evidence is."""


def inquiry_without(inquiry: Inquiry | None, subject: int) -> Inquiry | None:
    """Return the question under way unless it is about a subject."""
    return None if inquiry is not None and inquiry.subject == subject else inquiry


@dataclass(frozen=True)
class ExportRun:
    """An export under way, or what became of the last one."""

    number: int
    """Number that no other run of the session has."""
    subject: int
    """Key of the subject whose answer is written."""
    words: str
    """One sentence."""
    remarks: tuple[str, ...] = ()
    """What a reader of the file should know, one sentence each."""
    is_running: bool = True


def order_by(values: np.ndarray) -> np.ndarray:
    """Return the instances from the highest value to the lowest; those without one are left out."""
    known = np.flatnonzero(~np.isnan(values))
    return known[np.argsort(-values[known], kind="stable")]


def cluster_groups(tree: Any, n_clusters: int) -> list[Group]:
    """Cut a `MergeTree` and return its clusters, the largest first."""
    ranks = cluster_ranks(tree, n_clusters)
    return [
        Group(str(k + 1), cluster_glyph(k), np.flatnonzero(ranks == k))
        for k in range(int(ranks.max()) + 1)
    ]


def cluster_ranks(tree: Any, n_clusters: int) -> np.ndarray:
    """Cut a `MergeTree`: the cluster of each instance, int64 (N,), 0 for the largest one."""
    labels = tree.cut(n_clusters)
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(order)[labels]


def merged_groups(tree: Any, n_clusters: int, merged: int) -> list[Group]:
    """Return the instances that are merged after some merges, in the clusters of a later cut.

    Clusters keep their glyphs from the first merge on; where merges go beyond the cut, the glyph of
    the largest cluster is the one of all.

    Parameters
    ----------
    tree
        A `MergeTree` of N leaves.
    n_clusters
        Clusters of the cut.
    merged
        Merges that are done, from 0 to N - 1.
    """
    ranks = cluster_ranks(tree, n_clusters)
    labels = tree.cut(tree.n_leaves - merged)
    largest = np.full(int(labels.max()) + 1, n_clusters)
    np.minimum.at(largest, labels, ranks)
    ranks = largest[labels]
    is_merged = np.bincount(labels)[labels] > 1
    return [
        Group(str(k + 1), cluster_glyph(k), np.flatnonzero(is_merged & (ranks == k)))
        for k in np.unique(ranks[is_merged]).tolist()
    ]


def mask_groups(masks: Mapping[str, np.ndarray]) -> list[Group]:
    """Return the instances that are masked, by kind; the few come last, on top."""
    kinds = [kind for kind in ("low", "random", "high") if kind in masks]
    return [Group(kind, MASK_GLYPHS[kind], np.flatnonzero(masks[kind])) for kind in kinds]


def critical_classes(answer: Answer) -> list[tuple[int, str]]:
    """Return (instance, class) of the instances that DSMIL's first stream rests on."""
    critical = answer.prediction.critical
    if critical is None:
        return []
    classes = answer.card.classes
    if len(critical) == 1:
        classes = classes[-1:]
    return list(zip(critical.tolist(), classes, strict=True))
