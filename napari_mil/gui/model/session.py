"""The one state of a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Concatenate, ParamSpec

import numpy as np
from psygnal import Signal

from napari_mil.aggregators.cards import names_that_can_be_mined
from napari_mil.bags.layout import Layout
from napari_mil.gui.model.adapting import Adapting
from napari_mil.gui.model.answers import Answer, ExportRun, Inquiry, Linkage, Run
from napari_mil.gui.model.comparing import Comparing
from napari_mil.gui.model.display import (
    Column,
    Display,
    Kind,
    answer_columns,
    can_be_mined,
    chosen_column,
    columns_of,
    default_column,
)
from napari_mil.gui.model.embedding import Embedding
from napari_mil.gui.model.gallery import Gallery, Nearest
from napari_mil.gui.model.judging import Judging
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.subjects import (
    Notice,
    Subject,
)
from napari_mil.gui.model.training import Training, Watch
from napari_mil.gui.model.tree import TreePanel
from napari_mil.gui.model.worklist import Listing
from napari_mil.inference.card import ClassifierCard

P = ParamSpec("P")


@dataclass(frozen=True)
class Selection:
    """Instances of one subject that every view marks."""

    subject: int
    instances: tuple[int, ...]
    """The last one is the one that views show by itself."""

    @property
    def instance(self) -> int:
        """Instance that views show by itself."""
        return self.instances[-1]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What lies around an instance."""

    pixels: np.ndarray
    """uint8 (H, W, 3), with the instance in the middle."""
    factor: float
    """Side of the part that is seen, in sides of the instance."""


@dataclass(frozen=True, eq=False)
class Closeup:
    """The selected instance at full resolution, what lies around it, and what is like it."""

    subject: int
    instance: int
    pixels: np.ndarray | None
    """uint8 (H, W, 3); None where there are no pixels."""
    surroundings: tuple[Surroundings, ...] = ()
    """From near to far; none of images."""
    nearest: Nearest | None = None
    """Instances that are alike; None where the features are not at hand."""
    likeness: np.ndarray | None = None
    """float32 (N,): how alike all instances are; None where the features are not at hand."""
    classifier: str = ""
    """Whose answer the features belong to."""


@dataclass(frozen=True, eq=False)
class SessionState:
    """Everything the window shows follows from this."""

    subjects: tuple[Subject, ...] = ()
    current: int | None = None
    """Key of the subject that is shown."""
    answers: tuple[Answer, ...] = ()
    cards: tuple[ClassifierCard, ...] = ()
    """Classifiers that can be chosen: shipped, the user's own, opened checkpoints."""
    classifier: str = ""
    """Name of the chosen classifier."""
    device: str = "auto"
    run: Run | None = None
    inquiry: Inquiry | None = None
    display: Display = field(default_factory=Display)
    selection: Selection | None = None
    closeup: Closeup | None = None
    gallery: Gallery = field(default_factory=Gallery)
    comparing: Comparing = field(default_factory=Comparing)
    embedding: Embedding = field(default_factory=Embedding)
    opening: tuple[str, ...] = ()
    """Names of what is being opened."""
    detecting: int | None = None
    """Key of the subject whose tissue is being detected."""
    panels: frozenset[Panel] = frozenset()
    """Panels below the canvas that are seen."""
    tree: TreePanel = field(default_factory=TreePanel)
    """Choices of the tree panel."""
    export: ExportRun | None = None
    message: str = ""
    """Why the last run came to nothing."""
    notices: tuple[Notice, ...] = ()
    training: Training = field(default_factory=Training)
    judging: Judging = field(default_factory=Judging)
    """Figures that are shown, and a score that is under way."""
    adapting: Adapting = field(default_factory=Adapting)
    listing: Listing = field(default_factory=Listing)
    """The worklist that is shown, and its run."""
    next_key: int = 1
    """Number for the next subject, run or notice."""

    def subject(self, key: int | None) -> Subject | None:
        """Return an open subject by its key."""
        return next((subject for subject in self.subjects if subject.key == key), None)

    @property
    def current_subject(self) -> Subject | None:
        """The subject that is shown."""
        return self.subject(self.current)

    @property
    def card(self) -> ClassifierCard | None:
        """The chosen classifier."""
        return next((card for card in self.cards if card.name == self.classifier), None)

    def answer(self, subject: int | None, classifier: str | None) -> Answer | None:
        """Return the answer of a classifier about a subject."""
        pairs = (answer for answer in self.answers if answer.subject == subject)
        return next((answer for answer in pairs if answer.classifier == classifier), None)

    @property
    def shown_answer(self) -> Answer | None:
        """The answer that card, title, legend and overlay speak of."""
        subject = self.current_subject
        return None if subject is None else self.answer(subject.key, subject.shown_classifier)

    @property
    def shown_run(self) -> Run | None:
        """The run about the subject that is shown, if one is under way."""
        return self.run if self.run is not None and self.run.subject == self.current else None

    @property
    def mapped_run(self) -> Run | None:
        """The run about the subject that is shown, once it has values to map."""
        run = self.shown_run
        return run if run is not None and run.columns and run.layout is not None else None

    @property
    def shown_watch(self) -> Watch | None:
        """The watched bag in training, if its overlay is what is shown."""
        watch = self.training.watch
        if watch is None or self.display.kind is not Kind.TRAINING:
            return None
        if watch.shown is None or watch.layout is None:
            return None
        subject = self.current_subject
        return watch if subject is not None and subject.path == watch.path else None

    @property
    def columns(self) -> list[Column]:
        """Columns of the shown run or answer that can be mapped."""
        run = self.mapped_run
        if run is not None:
            return columns_of(list(run.columns), run.inputs.classifier.classes)
        answer = self.shown_answer
        return [] if answer is None else answer_columns(answer)

    @property
    def column(self) -> Column | None:
        """Column that is mapped now."""
        column = chosen_column(self.display, self.columns)
        return default_column(self.columns) if column is None and self.lacks_groups else column

    @property
    def lacks_groups(self) -> bool:
        """Whether what is shown cannot have the groups or marks that the display chooses."""
        kind = self.display.kind
        if kind is Kind.TRAINING:
            return self.shown_watch is None
        answer = self.shown_answer
        if answer is None or self.mapped_run is not None:
            return True
        if kind is Kind.CRITICAL:
            return answer.prediction.critical is None
        if kind is Kind.MASKS and can_be_mined(answer.card, names_that_can_be_mined()):
            return True
        return len(answer.layout) < 2

    @property
    def shown_values(self) -> Mapping[str, np.ndarray]:
        """Values (N,) of the shown run or answer, by column."""
        run = self.mapped_run
        if run is not None:
            return run.columns
        answer = self.shown_answer
        return {} if answer is None else answer.columns

    @property
    def values(self) -> np.ndarray | None:
        """Values (N,) that are mapped now, or those that rank instances."""
        watch = self.shown_watch
        if watch is not None:
            return None if watch.watched is None else watch.watched.values
        column = self.column or default_column(self.columns)
        return None if column is None else self.shown_values.get(column.key)

    @property
    def layout(self) -> Layout | None:
        """Layout of the instances that are shown now."""
        watch = self.shown_watch
        if watch is not None and watch.layout is not None:
            return watch.layout
        run = self.mapped_run
        if run is not None:
            return run.layout
        answer = self.shown_answer
        if answer is not None:
            return answer.layout
        subject = self.current_subject
        return None if subject is None else subject.layout

    @property
    def linkage(self) -> Linkage:
        """Linkage of the clusters that are shown: Ward's unless another one is chosen.

        A method that merges does so by single linkage: its own merges are the tree of that.
        """
        chosen = self.display.linkage or Linkage.WARD
        if chosen not in (Linkage.SINGLE, Linkage.OWN):
            return chosen
        answer = self.shown_answer
        merges = answer is not None and answer.prediction.tree is not None
        return Linkage.OWN if merges else Linkage.SINGLE

    @property
    def merged(self) -> int | None:
        """Merges of the shown tree that the replay has come to; None where the cut is shown."""
        replay = self.tree.replay
        answer = self.shown_answer
        if replay is None or answer is None or Panel.TREE not in self.panels:
            return None
        of_shown = (answer.subject, answer.classifier, self.linkage)
        if (replay.subject, replay.classifier, replay.linkage) != of_shown:
            return None
        return min(replay.merged, len(answer.layout) - 1)


class Session:
    """Holds the state of one window and tells every change of it."""

    changed = Signal(object, object)
    """(state before, state after)."""

    def __init__(self, state: SessionState | None = None) -> None:
        self._state = state or SessionState()
        self._told = self._state
        self._telling = False

    @property
    def state(self) -> SessionState:
        """The state now."""
        return self._state

    def apply(
        self,
        action: Callable[Concatenate[SessionState, P], SessionState],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action; listeners may apply further ones, which are told after it."""
        after = action(self._state, *arguments, **options)
        self._state = drop_lost_selection(self._state, after)
        self._tell()

    def train(
        self,
        action: Callable[Concatenate[Training, P], Training],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the training of the state."""
        training = action(self._state.training, *arguments, **options)
        if training is not self._state.training:
            after = replace(self._state, training=training)
            self._state = drop_lost_selection(self._state, after)
            self._tell()

    def judge(
        self,
        action: Callable[Concatenate[Judging, P], Judging],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the figures of the state."""
        self._put(judging=action(self._state.judging, *arguments, **options))

    def adapt(
        self,
        action: Callable[Concatenate[Adapting, P], Adapting],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the adapting of the encoder."""
        self._put(adapting=action(self._state.adapting, *arguments, **options))

    def compare(
        self,
        action: Callable[Concatenate[Comparing, P], Comparing],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the comparison of two answers."""
        self._put(comparing=action(self._state.comparing, *arguments, **options))

    def change_listing(
        self,
        action: Callable[Concatenate[Listing, P], Listing],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the worklist."""
        self._put(listing=action(self._state.listing, *arguments, **options))

    def embed(
        self,
        action: Callable[Concatenate[Embedding, P], Embedding],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        """Apply an action on the embedding of the state."""
        self._put(embedding=action(self._state.embedding, *arguments, **options))

    def _put(self, **parts: object) -> None:
        """Put parts into the state, and tell it unless equal ones were there."""
        if any(getattr(self._state, name) != part for name, part in parts.items()):
            self._state = replace(self._state, **parts)  # type: ignore[arg-type]
            self._tell()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Tell what a block changes once, at its end."""
        if self._telling:
            yield
            return
        self._telling = True
        try:
            yield
        finally:
            self._telling = False
            self._tell()

    def _tell(self) -> None:
        if self._telling:
            return
        self._telling = True
        try:
            while self._told is not self._state:
                before = self._told
                self._told = self._state
                self.changed.emit(before, self._state)
        finally:
            self._telling = False


def drop_lost_selection(before: SessionState, after: SessionState) -> SessionState:
    """Drop a selection whose instances are elsewhere after a change: they are others then."""
    selection = after.selection
    if selection is None or selection is not before.selection:
        return after
    key = selection.subject
    was = replace(before, current=key).layout
    now = replace(after, current=key).layout
    if was is now or (was is not None and now is not None and was.covers_the_same_as(now)):
        return after
    return replace(after, selection=None, closeup=None)
