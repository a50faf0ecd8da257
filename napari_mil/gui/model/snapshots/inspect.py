"""What the Inspect tab shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.aggregators.cards import names_that_can_be_mined
from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.exports.glyphs import Glyph
from napari_mil.exports.maps import SIGNED, ScaleMode, scaled
from napari_mil.gui.model.answers import Answer, Linkage, cluster_ranks, critical_classes
from napari_mil.gui.model.display import (
    DEFAULT_CLUSTERS,
    DEFAULT_OPACITY,
    EVIDENCE,
    MAPPED,
    MOST_CLUSTERS,
    Kind,
    Role,
    can_be_mined,
    scale_of,
    window_of,
)
from napari_mil.gui.model.memo import Memo
from napari_mil.gui.model.mining import published_ratios_for
from napari_mil.gui.model.overlays import AS_IN_PAPERS
from napari_mil.gui.model.session import SessionState, Surroundings
from napari_mil.gui.model.shown_groups import linkage_words, shown_groups
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.model.words import count

if TYPE_CHECKING:
    from napari_mil.inference.evidence import Evidence
    from napari_mil.inference.parts import Curve

NOTHING_YET = "Classify something first: its answer is looked into here."
NO_ANSWER_YET = "Classify to see what it counts for."
NO_OTHERS = "One instance has no others to be compared with."
MOST_POINTS = 128
"""Points of a curve that are drawn."""
BINS = 64
"""Bins of the histogram."""
NEAREST_LISTED = 6
"""Instances most alike that are listed."""
SCALE_TEXTS = {
    ScaleMode.RAW: "values",
    ScaleMode.RANK: "ranks",
    ScaleMode.LOG: "logarithm",
    ScaleMode.PERCENTILE: "1st to 99th percentile",
}
KIND_TEXTS = {
    Kind.ATTENTION: "attention",
    Kind.SCORE: "score",
    Kind.SIMILARITY: "similarity to the whole",
    Kind.UNLIKE: "unlike the training data",
    Kind.ALONE: "each tile alone",
    Kind.CONTRIBUTION: "contribution",
    Kind.LIKENESS: "like the selected one",
    Kind.CLUSTERS: "clusters",
    Kind.MASKS: "masked by mining",
    Kind.CRITICAL: "critical instance",
    Kind.TRAINING: "in training",
}


_remember = Memo(6)


@dataclass(frozen=True, eq=False)
class InstanceSnapshot:
    """The selected instance."""

    title: str
    """Which one it is."""
    rows: tuple[tuple[str, str], ...]
    """(name, value) pairs: values with ranks, position."""
    pixels: np.ndarray | None
    """uint8 (H, W, 3) at full resolution; None while they are read."""
    has_pixels: bool = True
    """Whether there is a picture at all: features without their slide have none."""
    surroundings: tuple[Surroundings, ...] = ()
    """What lies around it, from near to far."""
    nearest: tuple[tuple[int, float], ...] = ()
    """(instance, likeness) of the instances that are most alike."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InstanceSnapshot):
            return NotImplemented
        same_words = (self.title, self.rows, self.has_pixels, self.nearest) == (
            other.title,
            other.rows,
            other.has_pixels,
            other.nearest,
        )
        same_pixels = self.pixels is other.pixels and len(self.surroundings) == len(
            other.surroundings
        )
        return same_words and same_pixels

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class HistogramSnapshot:
    """How often values are, and the part of them that the colours run over."""

    counts: tuple[int, ...]
    """Instances in bins of equal width."""
    low: float
    """Left end of the first bin, on the scale of the map."""
    high: float
    """Right end of the last bin."""
    window: tuple[float, float]
    """Values of the ends of the colours."""
    is_set: bool
    """Whether they were set by hand."""


@dataclass(frozen=True)
class DeletionCurve:
    """Probability of the predicted class while instances are taken away."""

    name: str
    """Map whose order it follows, the highest first."""
    area: float
    """Mean probability; the lower the more faithful the map."""
    shares: tuple[float, ...]
    """Shares of the instances that are gone."""
    probabilities: tuple[float, ...]
    is_reference: bool = False
    """Whether the order is random."""


@dataclass(frozen=True)
class EvidenceSnapshot:
    """What the instances count for, and what becomes of the answer without some."""

    visible: bool = False
    sufficient: str = ""
    """How few instances give the answer; empty before that was asked."""
    curves: tuple[DeletionCurve, ...] = ()
    """Deletion curves of the maps, the most faithful first, a random order last."""
    ask: str = ""
    """Why nothing can be asked, or nothing."""
    is_asked: bool = False
    """Whether the evidence is there."""
    what_if: str = ""
    """Probability before and after what was taken out."""
    can_change: bool = False
    """Whether instances are selected that could be dropped, or kept alone."""
    can_undo: bool = False
    can_redo: bool = False


@dataclass(frozen=True)
class ShareSnapshot:
    """Share of one kind that mining masks."""

    kind: str
    share: float
    tip: str


@dataclass(frozen=True)
class InspectSnapshot:
    """What the Inspect tab shows."""

    subject: str = ""
    """Name of what is looked into; empty for nothing."""
    facts: str = NOTHING_YET
    reason: str = NOTHING_YET
    """Why nothing can be asked; empty where something can."""
    kinds: Choices = field(default_factory=Choices)
    names: Choices = field(default_factory=Choices)
    """Classes or heads of the kind; empty where there is one only."""
    scales: Choices = field(default_factory=Choices)
    histogram: HistogramSnapshot | None = None
    """None where no values are mapped, or no window can be set on them."""
    as_in_papers: bool | None = None
    """Whether a map is drawn as the papers do; None where they have no way of their own."""
    hidden_groups: frozenset[str] = frozenset()
    opacity: float = DEFAULT_OPACITY
    visible: bool = True
    n_clusters: int = DEFAULT_CLUSTERS
    most_clusters: int = MOST_CLUSTERS
    linkages: Choices = field(default_factory=Choices)
    strategies: Choices = field(default_factory=Choices)
    shows_clusters: bool = False
    shows_masks: bool = False
    shares: tuple[ShareSnapshot, ...] = ()
    """Shares of the strategy that is shown."""
    are_published: bool = True
    """Whether these are the published shares."""
    groups: tuple[tuple[str, Glyph, int], ...] = ()
    """(name, glyph, instances) of the clusters or masks that are shown."""
    working: str = ""
    """What is being worked on; empty for nothing."""
    instance: InstanceSnapshot | None = None
    evidence: EvidenceSnapshot = field(default_factory=EvidenceSnapshot)


def inspect_snapshot(state: SessionState) -> InspectSnapshot:
    """Return what the Inspect tab shows."""
    subject = state.current_subject
    answer = state.shown_answer
    watch = state.training.watch
    watches = subject is not None and watch is not None and watch.path == subject.path
    if subject is None:
        return InspectSnapshot()
    if answer is None and not (watches and watch and watch.epochs):
        instance = _instance(state, subject)
        words = NOTHING_YET if instance is None else NO_ANSWER_YET
        return InspectSnapshot(subject=subject.name, facts=words, instance=instance)
    column = state.column
    kind = state.display.kind if column is None else column.kind
    groups: tuple[tuple[str, Glyph, int], ...] = ()
    if answer is not None and column is None:
        shown, _ = shown_groups(state, answer)
        groups = tuple((group.name, group.glyph, len(group.instances)) for group in shown)
    n = 0 if state.layout is None else len(state.layout)
    overlay = state.display.look(Role.OVERLAY)
    return InspectSnapshot(
        subject=subject.name,
        facts=_facts(state, answer, subject),
        reason="",
        kinds=_kind_choices(state, answer, kind, watches=watches),
        names=_name_choices(state, kind),
        scales=_scale_choices(state, kind),
        histogram=_histogram(state, answer),
        as_in_papers=_as_in_papers(state, answer),
        hidden_groups=state.display.hidden_groups,
        opacity=DEFAULT_OPACITY if overlay.opacity is None else overlay.opacity,
        visible=overlay.visible is not False,
        n_clusters=min(state.display.n_clusters, max(2, n)),
        most_clusters=max(2, min(MOST_CLUSTERS, n)),
        linkages=linkage_choices(state, answer),
        strategies=Choices(
            tuple(Choice(card.name, card.title) for card in STRATEGIES.values()),
            state.display.mining.strategy,
        ),
        shows_clusters=kind is Kind.CLUSTERS,
        shows_masks=kind is Kind.MASKS,
        shares=_shares(state, answer) if kind is Kind.MASKS else (),
        are_published=state.display.mining.ratios is None,
        groups=groups,
        working=_working(state),
        instance=_instance(state, subject),
        evidence=_evidence(state, answer, subject),
    )


def _as_in_papers(state: SessionState, answer: Answer | None) -> bool | None:
    column = state.column
    is_answered = answer is not None and state.mapped_run is None and state.shown_watch is None
    if not is_answered or column is None or column.kind not in AS_IN_PAPERS:
        return None
    return state.display.as_in_papers


def _histogram(state: SessionState, answer: Answer | None) -> HistogramSnapshot | None:
    column = state.column
    if answer is None or column is None or state.mapped_run is not None:
        return None
    if state.shown_watch is not None or len(answer.layout) < 2:
        return None
    if state.display.as_in_papers and column.kind in AS_IN_PAPERS:
        return None
    mode = scale_of(state.display, column.kind)
    counts, low, high = _remember(_count, answer.columns[column.key], mode, column.kind)
    window = window_of(state.display, column)
    ends = (low, high) if window is None else (window.low, window.high)
    return HistogramSnapshot(counts, low, high, ends, window is not None)


def _count(values: np.ndarray, mode: ScaleMode, kind: Kind) -> tuple[tuple[int, ...], float, float]:
    """Return instances in bins over the ends of a scale; those beyond are in the outer bins."""
    shown, low, high = scaled(values, mode, kind)
    known = np.clip(shown[~np.isnan(shown)], low, high)
    counts, _ = np.histogram(known, BINS, (low, high))
    return tuple(counts.tolist()), low, high


def _evidence(state: SessionState, answer: Answer | None, subject: Subject) -> EvidenceSnapshot:
    if answer is None or state.shown_watch is not None or state.mapped_run is not None:
        return EvidenceSnapshot()
    found = answer.evidence
    what_if = answer.what_if
    n = len(answer.layout)
    selection = state.selection
    selected = selection is not None and selection.subject == subject.key
    sufficient = ""
    if found is not None:
        n_few = len(found.sufficient)
        verb = "gives" if n_few == 1 else "give"
        few = count(n_few, subject.noun)
        sufficient = f"{few} of {n} {verb} the same answer: {found.explained}."
    return EvidenceSnapshot(
        visible=n > 1,
        sufficient=sufficient,
        curves=() if found is None else _remember(_deletion_curves, found, answer.card.classes),
        ask="" if can_be_asked(answer) else "Classify again: its features are gone.",
        is_asked=found is not None,
        what_if=_what_if_words(answer, subject),
        can_change=selected and can_be_asked(answer),
        can_undo=what_if.can_undo,
        can_redo=what_if.can_redo,
    )


def _deletion_curves(found: Evidence, classes: tuple[str, ...]) -> tuple[DeletionCurve, ...]:
    k = classes.index(found.explained)
    curves = [_deletion_curve(name, curve, found, k) for name, curve in found.deletion.items()]
    return tuple(sorted(curves, key=lambda curve: (curve.is_reference, curve.area)))


def _deletion_curve(name: str, curve: Curve, found: Evidence, k: int) -> DeletionCurve:
    steps = np.unique(np.linspace(0, len(curve.counts) - 1, MOST_POINTS).round().astype(int))
    return DeletionCurve(
        name,
        found.faithfulness[name],
        tuple((curve.counts[steps] / curve.n).tolist()),
        tuple(curve.probabilities[steps, k].tolist()),
        is_reference=name == found.reference,
    )


def _what_if_words(answer: Answer, subject: Subject) -> str:
    """Return the probabilities before and after what was taken out."""
    what_if = answer.what_if
    if not what_if.removed:
        return ""
    n = len(answer.layout)
    out = f"Without {len(what_if.removed)} of {count(n, subject.noun)}: "
    if what_if.probabilities is None:
        return f"{out}…"
    before = answer.prediction.probabilities
    pairs = zip(answer.card.classes, before, what_if.probabilities, strict=True)
    named = list(pairs)[1:] if len(answer.card.classes) == 2 else list(pairs)
    return out + ", ".join(f"{name} {was:.2f} → {now:.2f}" for name, was, now in named)


def can_be_asked(answer: Answer) -> bool:
    """Say whether the features of an answer are there to answer for parts of it."""
    return answer.prediction.features is not None


def _facts(state: SessionState, answer: Answer | None, subject: Subject) -> str:
    run = state.mapped_run
    if run is not None:
        done = f"{run.done} of {count(run.total, subject.noun)}"
        return f"{run.inputs.classifier.name} · {done}"
    if answer is None:
        return ""
    critical = [
        f"critical {subject.noun} {instance} ({name})"
        for instance, name in critical_classes(answer)
    ]
    n = answer.prediction.n_instances
    return " · ".join([answer.classifier, count(n, subject.noun), *critical])


def _kind_choices(
    state: SessionState, answer: Answer | None, kind: Kind | None, *, watches: bool
) -> Choices:
    offered = {column.kind for column in state.columns}

    entries = [Choice(other, KIND_TEXTS[other]) for other in MAPPED if other in offered]
    if answer is not None:
        entries += _evidence_choices(answer, offered)
        if Kind.LIKENESS not in offered and can_be_asked(answer) and len(answer.layout) > 1:
            text = KIND_TEXTS[Kind.LIKENESS]
            entries.append(Choice(Kind.LIKENESS, text, "Select an instance first."))
        alone = NO_OTHERS if len(answer.layout) == 1 else ""
        entries.append(Choice(Kind.CLUSTERS, KIND_TEXTS[Kind.CLUSTERS], alone))
        not_mined = alone or can_be_mined(answer.card, names_that_can_be_mined())
        entries.append(Choice(Kind.MASKS, KIND_TEXTS[Kind.MASKS], not_mined))
        if answer.prediction.critical is not None:
            entries.append(Choice(Kind.CRITICAL, KIND_TEXTS[Kind.CRITICAL]))
    if watches:
        entries.append(Choice(Kind.TRAINING, KIND_TEXTS[Kind.TRAINING]))
    offered_kinds = [entry.key for entry in entries]
    return Choices(tuple(entries), kind if kind in offered_kinds else None)


def _evidence_choices(answer: Answer, offered: set[Kind]) -> list[Choice]:
    """Return the kinds that are asked for, with the reason why one cannot be."""
    choices = []
    for kind in EVIDENCE:
        if kind in offered:
            continue
        reason = ""
        if len(answer.layout) < 2:
            reason = NO_OTHERS
        elif answer.evidence is not None:
            reason = "This method would have to answer again for every one of so many instances."
        elif not can_be_asked(answer):
            reason = "Classify again: its features are gone."
        choices.append(Choice(kind, KIND_TEXTS[kind], reason))
    return choices


def _name_choices(state: SessionState, kind: Kind | None) -> Choices:
    if kind is Kind.TRAINING:
        watch = state.training.watch
        watched = None if watch is None else watch.watched
        if watched is None or not watched.masks:
            return Choices()
        both = (Choice("", watched.what), Choice("masked", "masked"))
        return Choices(both, state.display.name)
    columns = [column for column in state.columns if column.kind is kind]
    if len(columns) < 2:
        return Choices()
    current = state.column
    entries = tuple(Choice(column.name, column.name) for column in columns)
    return Choices(entries, None if current is None else current.name)


def _scale_choices(state: SessionState, kind: Kind | None) -> Choices:
    if kind not in MAPPED or (state.display.as_in_papers and kind in AS_IN_PAPERS):
        return Choices()
    modes = [mode for mode in SCALE_TEXTS if not (kind in SIGNED and mode is ScaleMode.LOG)]
    entries = tuple(Choice(mode, SCALE_TEXTS[mode]) for mode in modes)
    return Choices(entries, scale_of(state.display, kind))


def linkage_choices(state: SessionState, answer: Answer | None) -> Choices:
    """Return the trees that an answer can be asked for, named in words."""
    if answer is None:
        return Choices()
    # The tree of a method that merges is the one of single linkage.
    other = Linkage.SINGLE if answer.prediction.tree is None else Linkage.OWN
    linkages = (Linkage.WARD, Linkage.AVERAGE, other)
    entries = tuple(Choice(linkage, linkage_words(linkage, answer)) for linkage in linkages)
    return Choices(entries, state.linkage)


def _shares(state: SessionState, answer: Answer | None) -> tuple[ShareSnapshot, ...]:
    if answer is None:
        return ()
    mining = state.display.mining
    ratios = mining.ratios_for(answer.card)
    published = published_ratios_for(mining.strategy, answer.card)
    drawn = ""
    if ratios.drawn < 1:
        drawn = f", drawn of the {100 * ratios.high / ratios.drawn:g} % highest"
    ways = {"high": f"of the highest{drawn}", "low": "of the lowest", "random": "at random"}
    return tuple(
        ShareSnapshot(
            kind,
            getattr(ratios, kind),
            f"Share of all that is masked {ways[kind]}; "
            f"published: {100 * getattr(published, kind):g} %",
        )
        for kind in mining.kinds
    )


def _working(state: SessionState) -> str:
    inquiry = state.inquiry
    if inquiry is None or inquiry.subject != state.current:
        return ""
    if inquiry.linkage is not None:
        return "Growing the tree of the bag…"
    if inquiry.mining is None:
        return "Asking what the instances count for…"
    return "Asking what mining would mask…"


def _instance(state: SessionState, subject: Subject) -> InstanceSnapshot | None:
    selection = state.selection
    layout = state.layout
    if selection is None or selection.subject != subject.key or layout is None:
        return None
    instance = selection.instance
    rows = [*_value_rows(state, instance), *_tree_row(state, instance)]
    x, y = layout.coords[instance]
    if subject.images is not None:
        rows.append(("Image", subject.images.names[instance]))
    else:
        rows.append(("Position", f"x {x:.0f}, y {y:.0f} px of level 0"))
    more = len(selection.instances) - 1
    title = f"{subject.noun.capitalize()} {instance}"
    if more:
        title += f" and {more} more"
    has_pixels = subject.images is not None or subject.slide is not None
    closeup = state.closeup
    if closeup is None or (closeup.subject, closeup.instance) != (subject.key, instance):
        return InstanceSnapshot(title, tuple(rows), None, has_pixels)
    found = closeup.nearest
    nearest = () if found is None else tuple(zip(found.instances, found.similarities, strict=True))
    return InstanceSnapshot(
        title,
        tuple(rows),
        closeup.pixels,
        has_pixels,
        closeup.surroundings,
        nearest[:NEAREST_LISTED],
    )


def _tree_row(state: SessionState, instance: int) -> list[tuple[str, str]]:
    """Return where the instance is in the tree that is cut, once that was grown."""
    answer = state.shown_answer
    if answer is None or state.shown_watch is not None or state.mapped_run is not None:
        return []
    tree = answer.trees.get(state.linkage)
    if tree is None:
        return []
    n_clusters = min(state.display.n_clusters, len(answer.layout))
    ranks = _remember(cluster_ranks, tree, n_clusters)
    size = int((ranks == ranks[instance]).sum())
    merge = int(np.flatnonzero((tree.triplets[:, :2] == instance).any(1))[0])
    subject = state.current_subject
    noun = "instance" if subject is None else subject.noun
    words = (
        f"cluster {ranks[instance] + 1} of {n_clusters} "
        f"({linkage_words(state.linkage, answer)}), {count(size, noun)}; "
        f"merged at height {tree.heights[merge]:.3g}"
    )
    return [("Tree", words)]


def _value_rows(state: SessionState, instance: int) -> list[tuple[str, str]]:
    watch = state.shown_watch
    if watch is not None:
        watched = watch.watched
        return [] if watched is None else [(watched.what, f"{watched.values[instance]:.3g}")]
    rows = []
    for column in state.columns:
        values = state.shown_values.get(column.key)
        if values is None or np.isnan(values[instance]) or column.kind is Kind.LIKENESS:
            continue
        rank = int((values > values[instance]).sum()) + 1
        rows.append((column.title, f"{values[instance]:.3g} · rank {rank} of {len(values)}"))
    return rows
