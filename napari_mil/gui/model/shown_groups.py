"""Clusters and masks that are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_mil.exports.glyphs import Group
from napari_mil.gui.model.answers import (
    Answer,
    cluster_groups,
    mask_groups,
    merged_groups,
)
from napari_mil.gui.model.display import (
    Kind,
)
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.mining import newest_of_strategy
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.words import count

_remember = Memo()
"""Groups of the newest scenes."""
_replayed = Memo(2)
"""Groups of the newest steps of a replay."""


def shown_groups(state: SessionState, answer: Answer) -> tuple[tuple[Group, ...], str]:
    """Return the clusters or masks that are shown, and their title; none while they are missing."""
    if state.display.kind is Kind.CLUSTERS:
        if state.linkage not in answer.trees:
            return (), ""
        tree, n = answer.trees[state.linkage], len(answer.layout)
        if state.merged is not None:
            of_tree = linkage_words(state.linkage, answer)
            merged = _replayed(_merged, tree, min(state.display.n_clusters, n), state.merged)
            return merged, f"{state.merged} of {count(n - 1, 'merge')} ({of_tree})"
        groups = _remember(_clusters, tree, state.display.n_clusters, n)
        title = "1 cluster" if len(groups) == 1 else f"{len(groups)} clusters"
        return groups, f"{title} ({linkage_words(state.linkage, answer)})"
    if state.display.kind is Kind.MASKS:
        # While other shares are asked for, what there is stays, under its own name.
        mining = newest_of_strategy(answer.masks, state.display.mining)
        if mining is None:
            return (), ""
        groups = drawn_masks(answer.masks[mining])
        return groups, f"masked by {mining.words(answer.card)}"
    return (), ""


def linkage_words(linkage: str, answer: Answer) -> str:
    """Return the name of a tree: its linkage, or the method whose merges it holds."""
    words = {
        "ward": "Ward",
        "average": "average linkage",
        "single": "single linkage",
        "own": f"merges of {answer.card.aggregator.name}",
    }
    return words[linkage]


def drawn_masks(masks: Mapping[str, np.ndarray]) -> tuple[Group, ...]:
    """Return masks by kind as groups, from memory where they were shown before."""
    return _remember(_masks, masks)


def _clusters(tree: Any, n_clusters: int, n_instances: int) -> tuple[Group, ...]:
    return tuple(cluster_groups(tree, min(n_clusters, n_instances)))


def _merged(tree: Any, n_clusters: int, merged: int) -> tuple[Group, ...]:
    return tuple(merged_groups(tree, n_clusters, merged))


def _masks(masks: Mapping[str, np.ndarray]) -> tuple[Group, ...]:
    return tuple(mask_groups(masks))
