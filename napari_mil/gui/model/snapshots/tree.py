"""What the tree panel shows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_mil.exports.glyphs import Glyph, cluster_glyph
from napari_mil.gui.model.answers import Answer, cluster_ranks
from napari_mil.gui.model.dendrogram import (
    Dendrogram,
    dendrogram_of,
    dendrogram_of_clusters,
    first_merged_leaves,
    height_of_cut,
    nodes_of_clusters,
)
from napari_mil.gui.model.display import DEFAULT_CLUSTERS, MOST_CLUSTERS, Kind
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.shown_groups import linkage_words
from napari_mil.gui.model.snapshots.choices import Choices
from napari_mil.gui.model.snapshots.inspect import NO_OTHERS, can_be_asked, linkage_choices
from napari_mil.gui.model.words import count

NOTHING_YET = "Classify something first: the tree of its instances is shown here."
STILL_RUNNING = "The tree is shown once the classification is done."
IN_TRAINING = "The tree is shown with the maps of an answer: choose one in Inspect."
NO_FEATURES = "Classify again: the features of this answer are gone."
GROWING = "Growing the tree of the bag…"
NOT_GROWN = "The tree was not grown."
ABOVE_CUT = -1
"""Colour of merges above the cut."""
NOT_YET = -2
"""Colour of merges that the replay has not come to."""
_remember = Memo(8)


@dataclass(frozen=True)
class Cluster:
    """One cluster of the cut, as it is drawn."""

    name: str
    """Its number, as in the legends of the slide."""
    glyph: Glyph
    size: int
    first: float
    """Place of its leftmost leaf."""
    last: float
    """Place of its rightmost leaf."""
    height: float
    """Height of its last merge; 0 for a single instance."""

    @property
    def middle(self) -> float:
        """Place under its last merge."""
        return (self.first + self.last) / 2


@dataclass(frozen=True, eq=False)
class TreeDrawing:
    """A tree that is cut, ready to be drawn."""

    dendrogram: Dendrogram
    """What is drawn: of the instances, or of the clusters."""
    whole: Dendrogram
    """Of the instances."""
    roots: np.ndarray
    """int64: node of the whole for each leaf that is drawn."""
    pictured: np.ndarray
    """int64: instance whose picture stands for each leaf that is drawn."""
    merge_heights: np.ndarray
    """float64 (N - 1,): heights of all merges."""
    clusters: tuple[Cluster, ...]
    """From left to right."""
    colours: np.ndarray
    """int64: cluster of each node that is drawn, from 0 for the largest; `ABOVE_CUT`."""
    is_collapsed: bool

    def instances(self, node: int) -> np.ndarray:
        """Return the instances under a node that is drawn, from left to right, int64 (n,)."""
        leaves = self.dendrogram.leaves(node)
        first = self.whole.first[self.roots[leaves[0]]]
        last = self.whole.last[self.roots[leaves[-1]]]
        return self.whole.order[first : last + 1]

    def leaves_of(self, instances: np.ndarray) -> np.ndarray:
        """Return the leaf that is drawn and holds each instance, int64 (n,)."""
        places = self.whole.first[instances]
        firsts = self.whole.first[self.roots[self.dendrogram.order]]
        leaves: np.ndarray = self.dendrogram.order[np.searchsorted(firsts, places, "right") - 1]
        return leaves

    def colours_after(self, merged: int | None) -> np.ndarray:
        """Return the colours of the nodes after some merges of a replay; None for the cut."""
        if merged is None:
            return self.colours
        n = self.dendrogram.n_leaves
        merge = np.arange(len(self.colours)) - n
        if self.is_collapsed:
            merge[n:] += self.whole.n_leaves - n
            merge[:n] = self.roots - self.whole.n_leaves
        return np.where(merge < merged, self.colours, NOT_YET)


@dataclass(frozen=True)
class TreeSnapshot:
    """What the tree panel shows."""

    title: str = ""
    """What is drawn, in words."""
    reason: str = NOTHING_YET
    """Why there is no tree; empty where there is one."""
    can_ask: bool = False
    """Whether the tree can be asked for again."""
    linkages: Choices = field(default_factory=Choices)
    n_clusters: int = DEFAULT_CLUSTERS
    most_clusters: int = MOST_CLUSTERS
    collapsed: bool = True
    colours_slide: bool = False
    """Whether the slide shows the clusters."""
    drawing: TreeDrawing | None = None
    cut_height: float = 0.0
    selected: tuple[int, ...] = ()
    """Instances that are selected."""
    n_merges: int = 0
    merged: int | None = None
    """Merges that the replay has come to; None where the cut is shown."""
    playing: bool = False
    has_pictures: bool = False
    """Whether instances have pixels."""


def reason_against_tree(state: SessionState) -> str:
    """Return why there cannot be a tree of what is shown, or nothing."""
    answer = state.shown_answer
    if state.mapped_run is not None:
        return STILL_RUNNING
    if answer is None:
        return NOTHING_YET
    if state.shown_watch is not None:
        return IN_TRAINING
    if len(answer.layout) < 2:
        return NO_OTHERS
    is_there = state.linkage in answer.trees or answer.prediction.tree is not None
    return "" if is_there or can_be_asked(answer) else NO_FEATURES


def tree_snapshot(state: SessionState) -> TreeSnapshot:
    """Return what the tree panel shows."""
    subject = state.current_subject
    answer = state.shown_answer
    reason = reason_against_tree(state)
    if reason or answer is None or subject is None:
        return TreeSnapshot(reason=reason, collapsed=state.tree.collapsed)
    n = len(answer.layout)
    most = min(MOST_CLUSTERS, n)
    n_clusters = min(state.display.n_clusters, most)
    tree = answer.trees.get(state.linkage)
    controls = TreeSnapshot(
        linkages=linkage_choices(state, answer),
        n_clusters=n_clusters,
        most_clusters=most,
        collapsed=state.tree.collapsed,
        colours_slide=state.display.kind is Kind.CLUSTERS,
    )
    if tree is None:
        failed = state.linkage in answer.ungrown and state.inquiry is None
        return replace(controls, reason=NOT_GROWN if failed else GROWING, can_ask=failed)
    selection = state.selection
    selects = selection is not None and selection.subject == subject.key
    return replace(
        controls,
        title=_title(state, answer, tree, n_clusters),
        reason="",
        drawing=_remember(drawing_of, tree, n_clusters, state.tree.collapsed),
        cut_height=height_of_cut(tree.heights, n_clusters),
        selected=selection.instances if selection is not None and selects else (),
        n_merges=n - 1,
        merged=state.merged,
        playing=state.tree.playing and state.merged is not None,
        has_pictures=subject.images is not None or subject.slide is not None,
    )


def _title(state: SessionState, answer: Answer, tree: Any, n_clusters: int) -> str:
    subject = state.current_subject
    noun = "instance" if subject is None else subject.noun
    name = linkage_words(state.linkage, answer)
    merged = state.merged
    if merged is None:
        return f"{count(len(answer.layout), noun)}, {n_clusters} clusters ({name})"
    if merged == 0:
        return f"no merge yet ({name})"
    left, right, _ = tree.triplets[merged - 1].tolist()
    return (
        f"merge {merged} of {len(tree.heights)} at height {tree.heights[merged - 1]:.3g}: "
        f"{tree.sizes[left]} + {count(int(tree.sizes[right]), noun)} ({name})"
    )


def drawing_of(tree: Any, n_clusters: int, collapsed: bool) -> TreeDrawing:
    """Cut a `MergeTree` and place what is drawn of it."""
    whole = _remember(dendrogram_of, tree)
    n = whole.n_leaves
    ranks = cluster_ranks(tree, n_clusters)
    top, roots = dendrogram_of_clusters(tree, n_clusters)
    of_node = nodes_of_clusters(whole, ranks, n - n_clusters)
    if collapsed:
        labels = np.empty(n_clusters, np.int64)
        labels[of_node[roots]] = np.arange(n_clusters)
        pictured = first_merged_leaves(whole.children, n, labels[ranks])
        colours = np.full(2 * n_clusters - 1, ABOVE_CUT)
        colours[:n_clusters] = of_node[roots]
        drawn = top
    else:
        pictured = np.arange(n)
        colours = of_node
        drawn = whole
    clusters = tuple(
        _cluster(whole, int(roots[leaf]), int(of_node[roots[leaf]]), place if collapsed else None)
        for place, leaf in enumerate(top.order)
    )
    return TreeDrawing(
        dendrogram=drawn,
        whole=whole,
        roots=roots if collapsed else np.arange(n),
        pictured=pictured,
        merge_heights=tree.heights,
        clusters=clusters,
        colours=colours,
        is_collapsed=collapsed,
    )


def _cluster(whole: Dendrogram, root: int, rank: int, place: int | None) -> Cluster:
    """Describe a cluster by its node; `place` is where it is drawn as one leaf."""
    first, last = int(whole.first[root]), int(whole.last[root])
    return Cluster(
        name=str(rank + 1),
        glyph=cluster_glyph(rank),
        size=last - first + 1,
        first=float(first if place is None else place),
        last=float(last if place is None else place),
        height=float(whole.height[root]),
    )
