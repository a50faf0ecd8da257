"""What the Inspect tab shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_mil.aggregators.cards import names_that_can_be_mined
from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.exports.glyphs import Glyph
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model.answers import Answer, Linkage, critical_classes
from napari_mil.gui.model.display import (
    DEFAULT_CLUSTERS,
    DEFAULT_OPACITY,
    MAPPED,
    MOST_CLUSTERS,
    Kind,
    Role,
    can_be_mined,
    scale_of,
)
from napari_mil.gui.model.scene import linkage_words, shown_groups
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.model.words import count

NOTHING_YET = "Classify something first: its answer is looked into here."
NO_ANSWER_YET = "Classify to see what it counts for."
NO_OTHERS = "One instance has no others to be compared with."
SCALE_TEXTS = {
    ScaleMode.RAW: "values",
    ScaleMode.RANK: "ranks",
    ScaleMode.LOG: "logarithm",
}
KIND_TEXTS = {
    Kind.ATTENTION: "attention",
    Kind.SCORE: "score",
    Kind.SIMILARITY: "similarity to the whole",
    Kind.UNLIKE: "unlike the training data",
    Kind.CLUSTERS: "clusters",
    Kind.MASKS: "masked by mining",
    Kind.CRITICAL: "critical instance",
    Kind.TRAINING: "in training",
}


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

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InstanceSnapshot):
            return NotImplemented
        same_words = (self.title, self.rows, self.has_pixels) == (
            other.title,
            other.rows,
            other.has_pixels,
        )
        return same_words and self.pixels is other.pixels

    __hash__ = None  # type: ignore[assignment]


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
    opacity: float = DEFAULT_OPACITY
    visible: bool = True
    n_clusters: int = DEFAULT_CLUSTERS
    most_clusters: int = MOST_CLUSTERS
    linkages: Choices = field(default_factory=Choices)
    strategies: Choices = field(default_factory=Choices)
    shows_clusters: bool = False
    shows_masks: bool = False
    groups: tuple[tuple[str, Glyph, int], ...] = ()
    """(name, glyph, instances) of the clusters or masks that are shown."""
    working: str = ""
    """What is being worked on; empty for nothing."""
    instance: InstanceSnapshot | None = None


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
        opacity=DEFAULT_OPACITY if overlay.opacity is None else overlay.opacity,
        visible=overlay.visible is not False,
        n_clusters=min(state.display.n_clusters, max(2, n)),
        most_clusters=max(2, min(MOST_CLUSTERS, n)),
        linkages=_linkage_choices(state, answer),
        strategies=Choices(
            tuple(Choice(card.name, card.title) for card in STRATEGIES.values()),
            state.display.strategy,
        ),
        shows_clusters=kind is Kind.CLUSTERS,
        shows_masks=kind is Kind.MASKS,
        groups=groups,
        working=_working(state),
        instance=_instance(state, subject),
    )


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
    if kind not in MAPPED:
        return Choices()
    entries = tuple(Choice(mode, text) for mode, text in SCALE_TEXTS.items())
    return Choices(entries, scale_of(state.display, kind))


def _linkage_choices(state: SessionState, answer: Answer | None) -> Choices:
    if answer is None:
        return Choices()
    linkages = [Linkage.WARD, Linkage.SINGLE]
    if answer.prediction.tree is not None:
        linkages[1] = Linkage.OWN
    entries = tuple(Choice(linkage, linkage_words(linkage, answer)) for linkage in linkages)
    return Choices(entries, state.linkage)


def _working(state: SessionState) -> str:
    inquiry = state.inquiry
    if inquiry is None or inquiry.subject != state.current:
        return ""
    if inquiry.linkage is not None:
        return "Growing the tree of the bag…"
    return "Asking what mining would mask…"


def _instance(state: SessionState, subject: Subject) -> InstanceSnapshot | None:
    selection = state.selection
    layout = state.layout
    if selection is None or selection.subject != subject.key or layout is None:
        return None
    instance = selection.instance
    rows = list(_value_rows(state, instance))
    x, y = layout.coords[instance]
    if subject.images is not None:
        rows.append(("Image", subject.images.names[instance]))
    else:
        rows.append(("Position", f"x {x:.0f}, y {y:.0f} px of level 0"))
    more = len(selection.instances) - 1
    title = f"{subject.noun.capitalize()} {instance}"
    if more:
        title += f" and {more} more"
    picture = state.picture
    pixels = None
    if picture is not None and (picture.subject, picture.instance) == (subject.key, instance):
        pixels = picture.pixels
    has_pixels = subject.images is not None or subject.slide is not None
    return InstanceSnapshot(title, tuple(rows), pixels, has_pixels)


def _value_rows(state: SessionState, instance: int) -> list[tuple[str, str]]:
    watch = state.shown_watch
    if watch is not None:
        watched = watch.watched
        return [] if watched is None else [(watched.what, f"{watched.values[instance]:.3g}")]
    rows = []
    for column in state.columns:
        values = state.shown_values.get(column.key)
        if values is None or np.isnan(values[instance]):
            continue
        rank = int((values > values[instance]).sum()) + 1
        rows.append((column.title, f"{values[instance]:.3g} · rank {rank} of {len(values)}"))
    return rows
