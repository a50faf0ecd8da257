"""The one state of a window, and the pure actions on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, ParamSpec

import numpy as np
from psygnal import Signal

from napari_mil.aggregators.cards import names_that_can_be_mined
from napari_mil.bags import TissueMask
from napari_mil.gui.model.answers import Answer, Inputs, Inquiry, Linkage, Run, order_by
from napari_mil.gui.model.display import (
    Column,
    Display,
    Kind,
    Look,
    Role,
    ScaleMode,
    can_be_mined,
    chosen_column,
    columns_of,
    default_column,
)
from napari_mil.gui.model.layout import Layout
from napari_mil.gui.model.subjects import (
    AnnotationLayer,
    Notice,
    Subject,
    SubjectKind,
    TissueChoice,
)
from napari_mil.gui.model.training import Training, Watch
from napari_mil.inference.card import FEATURES, IMAGES, TILES, ClassifierCard
from napari_mil.slides import Slide

P = ParamSpec("P")
OVERLAYS = (Role.OVERLAY, Role.GROUPS, Role.MARKS)
"""Roles of what is coloured; one of them is shown at a time."""
UNDETECTED = -1
"""Version of a tissue that is still to be detected."""


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
class Picture:
    """Pixels of the selected instance at full resolution."""

    subject: int
    instance: int
    pixels: np.ndarray
    """uint8 (H, W, 3)."""


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
    picture: Picture | None = None
    opening: tuple[str, ...] = ()
    """Names of what is being opened."""
    detecting: int | None = None
    """Key of the subject whose tissue is being detected."""
    message: str = ""
    """Why the last run came to nothing."""
    notices: tuple[Notice, ...] = ()
    training: Training = field(default_factory=Training)
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
        return [] if answer is None else columns_of(list(answer.columns), answer.card.classes)

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
        """Linkage of the clusters that are shown: Ward's unless another one is chosen."""
        return self.display.linkage or Linkage.WARD


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
    return clear_selection(after)


def reason_not_to_fit(card: ClassifierCard, subject: Subject) -> str:
    """Return why a classifier cannot classify a subject, or nothing."""
    if subject.kind is SubjectKind.FEATURES:
        return _reason_for_features(card, subject)
    if card.instances == FEATURES:
        return f"It takes {card.takes}."
    if subject.kind is SubjectKind.SLIDE and card.instances != TILES:
        return f"It takes {card.takes}, not slides."
    if subject.kind is SubjectKind.IMAGES and card.instances != IMAGES:
        return f"It takes slides ({card.takes}), not folders of images."
    if subject.is_fluorescence:
        return "It was trained on brightfield images; this slide is fluorescence."
    return ""


def _reason_for_features(card: ClassifierCard, subject: Subject) -> str:
    assert subject.bag is not None
    width = subject.bag.features.shape[1]
    if card.in_dim != width:
        return f"It takes {card.in_dim} values an instance; these have {width}."
    made_by = subject.bag.provenance.get("encoder")
    if made_by and card.encoder is not None and made_by != card.encoder.fingerprint:
        return "These features were made by another encoder."
    return ""


def inputs_now(subject: Subject, card: ClassifierCard) -> Inputs:
    """Return what an answer about a subject would be made from now."""
    tissue = None
    if subject.kind is SubjectKind.SLIDE and subject.tissue_choice is not TissueChoice.WHOLE:
        tissue = UNDETECTED
        known = subject.tissue
        if known is not None and (subject.tissue_choice is TissueChoice.LAYER or not known.painted):
            tissue = known.version
    mpp = None if subject.slide is None else subject.slide.mpp
    return Inputs(mpp, tissue, subject.level, card)


def stale_reasons(state: SessionState, answer: Answer) -> tuple[str, ...]:
    """Return what changed since an answer was made, in the words of the card."""
    subject = state.subject(answer.subject)
    card = state.card
    if subject is None or card is None:
        return ()
    now = inputs_now(subject, card)
    before = answer.inputs
    reasons = []
    if now.classifier.name != before.classifier.name:
        reasons.append(f"{now.classifier.name} is chosen now")
    elif now.classifier != before.classifier:
        reasons.append("the classifier was replaced")
    if now.mpp != before.mpp:
        reasons.append("the scale is another")
    if now.tissue != before.tissue:
        reasons.append("the tissue is another")
    if now.level != before.level:
        reasons.append("the tiles are others")
    return tuple(reasons)


# Actions: subjects


def add_subject(state: SessionState, subject: Subject) -> SessionState:
    """Open a subject and show it; an open one of the same key is replaced."""
    others = tuple(other for other in state.subjects if other.key != subject.key)
    subject = replace(subject, name=_free_name(subject, {other.name for other in others}))
    state = replace(
        state,
        subjects=(*others, subject),
        next_key=max(state.next_key, subject.key + 1),
    )
    return choose_subject(state, subject.key)


def _free_name(subject: Subject, taken: set[str]) -> str:
    """Return the name of a subject, told apart by its folder or a number where it is taken."""
    if subject.name not in taken:
        return subject.name
    with_folder = f"{subject.name} ({subject.path.parent.name})"
    candidates = (with_folder, *(f"{subject.name} ({k})" for k in range(2, len(taken) + 3)))
    return next(name for name in candidates if name not in taken)


def choose_subject(state: SessionState, key: int) -> SessionState:
    """Show another open subject; its answer comes back with it."""
    subject = state.subject(key)
    if subject is None or key == state.current:
        return state
    state = replace(state, current=key, message="")
    return _choose_fitting_classifier(state)


def _choose_fitting_classifier(state: SessionState) -> SessionState:
    """Choose a classifier that fits the shown subject: the one that answered, or the first."""
    subject = state.current_subject
    if subject is None:
        return state
    fitting = [card.name for card in state.cards if not reason_not_to_fit(card, subject)]
    if subject.shown_classifier in fitting:
        return replace(state, classifier=subject.shown_classifier or "")
    if state.classifier in fitting or not fitting:
        return state
    return replace(state, classifier=fitting[0])


def step_subject(state: SessionState, step: int) -> SessionState:
    """Show the next or the previous open subject."""
    keys = [subject.key for subject in state.subjects]
    if state.current not in keys:
        return state
    return choose_subject(state, keys[(keys.index(state.current) + step) % len(keys)])


def close_subject(state: SessionState, key: int) -> SessionState:
    """Close a subject with everything that spoke of it."""
    if state.subject(key) is None:
        return state
    keys = [subject.key for subject in state.subjects]
    place = keys.index(key)
    rest = tuple(subject for subject in state.subjects if subject.key != key)
    current = state.current
    if current == key:
        current = rest[min(place, len(rest) - 1)].key if rest else None
    concerns_run = state.run is not None and state.run.subject == key
    concerns_selection = state.selection is not None and state.selection.subject == key
    state = replace(
        state,
        subjects=rest,
        current=current,
        answers=tuple(answer for answer in state.answers if answer.subject != key),
        run=None if concerns_run else state.run,
        inquiry=_inquiry_without(state.inquiry, key),
        selection=None if concerns_selection else state.selection,
        picture=None if concerns_selection else state.picture,
        detecting=None if state.detecting == key else state.detecting,
        message="",
    )
    return _choose_fitting_classifier(state)


def _inquiry_without(inquiry: Inquiry | None, key: int) -> Inquiry | None:
    return None if inquiry is not None and inquiry.subject == key else inquiry


def update_subject(state: SessionState, key: int, /, **fields: Any) -> SessionState:
    """Change fields of an open subject."""
    subjects = tuple(
        replace(subject, **fields) if subject.key == key else subject for subject in state.subjects
    )
    return replace(state, subjects=subjects)


def rename_subject(state: SessionState, key: int, name: str) -> SessionState:
    """Call a subject otherwise."""
    subject = state.subject(key)
    if subject is None or subject.name == name:
        return state
    return update_subject(state, key, name=name)


def set_slide(state: SessionState, key: int, slide: Slide) -> SessionState:
    """Give a subject the same slide at another scale; tissue and answers stay."""
    return update_subject(state, key, slide=slide)


def set_pixels(state: SessionState, key: int, pixels: Any) -> SessionState:
    """Show other pixels of a subject."""
    return state if state.subject(key) is None else update_subject(state, key, pixels=pixels)


def set_tissue(state: SessionState, key: int, mask: TissueMask, *, painted: bool) -> SessionState:
    """Keep the tissue of a slide, as detected or as painted."""
    subject = state.subject(key)
    if subject is None:
        return state
    changed = subject.with_tissue(mask, painted=painted)
    subjects = tuple(changed if other.key == key else other for other in state.subjects)
    return replace(state, subjects=subjects)


def remove_tissue(state: SessionState, key: int) -> SessionState:
    """Forget the tissue of a slide; the next run detects it."""
    subject = state.subject(key)
    if subject is None or subject.tissue is None:
        return state
    choice = subject.tissue_choice
    if choice is TissueChoice.LAYER:
        choice = TissueChoice.DETECT
    return update_subject(state, key, tissue=None, tissue_choice=choice)


def set_tissue_choice(state: SessionState, choice: TissueChoice) -> SessionState:
    """Say how the tissue of the shown slide is found for the next run."""
    if state.current is None:
        return state
    return update_subject(state, state.current, tissue_choice=choice)


def set_level(state: SessionState, level: int | None) -> SessionState:
    """Say of which level the tiles of the shown slide are taken; None goes by scale."""
    if state.current is None:
        return state
    return update_subject(state, state.current, level=level)


def start_detecting(state: SessionState, key: int) -> SessionState:
    """Say that the tissue of a slide is being detected."""
    return replace(state, detecting=key)


def end_detecting(state: SessionState, key: int) -> SessionState:
    """Say that the tissue of a slide is not being detected any more."""
    return replace(state, detecting=None) if state.detecting == key else state


def add_annotations(state: SessionState, key: int, layer: AnnotationLayer) -> SessionState:
    """Lay the regions of a file over a slide; those of the same file are replaced."""
    subject = state.subject(key)
    if subject is None:
        return state
    others = tuple(other for other in subject.annotations if other.name != layer.name)
    return update_subject(state, key, annotations=(*others, layer))


def remove_annotations(state: SessionState, key: int, name: str) -> SessionState:
    """Take the regions of a file away."""
    subject = state.subject(key)
    if subject is None:
        return state
    rest = tuple(layer for layer in subject.annotations if layer.name != name)
    return update_subject(state, key, annotations=rest)


def start_opening(state: SessionState, name: str) -> SessionState:
    """Say that something is being opened."""
    return replace(state, opening=(*state.opening, name))


def end_opening(state: SessionState, name: str) -> SessionState:
    """Say that something is not being opened any more."""
    opening = list(state.opening)
    if name in opening:
        opening.remove(name)
    return replace(state, opening=tuple(opening))


# Actions: classifiers and answers


def set_cards(
    state: SessionState, cards: Sequence[ClassifierCard], preferred: str = ""
) -> SessionState:
    """Offer classifiers; the chosen one stays if it is still there."""
    listed = {card.name for card in cards}
    opened = [card for card in state.cards if card.name not in listed and _is_still_there(card)]
    offered = (*cards, *opened)
    names = [card.name for card in offered]
    wanted = (state.classifier, preferred, *names)
    chosen = next((name for name in wanted if name in names), "")
    return replace(state, cards=offered, classifier=chosen)


def _is_still_there(card: ClassifierCard) -> bool:
    path = card.checkpoint or card.folder
    return path is not None and path.exists()


def add_card(state: SessionState, card: ClassifierCard) -> SessionState:
    """Offer one more classifier and choose it; one of the same name is replaced."""
    others = tuple(other for other in state.cards if other.name != card.name)
    return choose_classifier(replace(state, cards=(*others, card)), card.name)


def choose_classifier(state: SessionState, name: str) -> SessionState:
    """Choose a classifier; if it has answered about the shown subject, that answer is shown."""
    if all(card.name != name for card in state.cards):
        return state
    state = replace(state, classifier=name, message="")
    subject = state.current_subject
    if subject is None or state.answer(subject.key, name) is None:
        return state
    return update_subject(state, subject.key, shown_classifier=name)


def choose_device(state: SessionState, device: str) -> SessionState:
    """Choose where to compute."""
    return replace(state, device=device)


def start_run(state: SessionState, run: Run) -> SessionState:
    """Begin a run; the answer that is there stays until it is replaced."""
    return replace(
        state,
        run=run,
        message="",
        next_key=max(state.next_key, run.number + 1),
        display=_without_training(state.display),
    )


def _without_training(display: Display) -> Display:
    return replace(display, kind=None) if display.kind is Kind.TRAINING else display


def update_run(state: SessionState, number: int, /, **fields: Any) -> SessionState:
    """Change what is known of the run under way; a late word of another one changes nothing."""
    if state.run is None or state.run.number != number:
        return state
    return replace(state, run=replace(state.run, **fields))


def add_run_remark(state: SessionState, number: int, remark: str) -> SessionState:
    """Add a sentence about what is less certain than it looks."""
    if state.run is None or state.run.number != number:
        return state
    return update_run(state, number, remarks=(*state.run.remarks, remark))


def keep_detected_tissue(state: SessionState, number: int, mask: TissueMask) -> SessionState:
    """Keep the tissue that the run detected; its answer will be made from it."""
    run = state.run
    if run is None or run.number != number:
        return state
    state = set_tissue(state, run.subject, mask, painted=False)
    subject = state.subject(run.subject)
    if subject is None or subject.tissue is None:
        return state
    return update_run(state, number, inputs=replace(run.inputs, tissue=subject.tissue.version))


def finish_run(state: SessionState, number: int, answer: Answer) -> SessionState:
    """Put the answer of the run in the place of an earlier one, and show it."""
    if state.run is None or state.run.number != number:
        return state
    if state.subject(answer.subject) is None:
        return replace(state, run=None)
    others = tuple(
        other
        for other in state.answers
        if (other.subject, other.classifier) != (answer.subject, answer.classifier)
    )
    state = replace(
        state,
        run=None,
        answers=(*others, answer),
        inquiry=_inquiry_without(state.inquiry, answer.subject),
    )
    return update_subject(state, answer.subject, shown_classifier=answer.classifier)


def end_run(state: SessionState, number: int, message: str = "") -> SessionState:
    """End a run without an answer; the answer before it holds still."""
    if state.run is None or state.run.number != number:
        return state
    return replace(state, run=None, message=message)


def start_inquiry(state: SessionState, inquiry: Inquiry) -> SessionState:
    """Say that a question about an answer is being worked on."""
    return replace(state, inquiry=inquiry)


def end_inquiry(state: SessionState, *, failed: bool = False) -> SessionState:
    """Say that no question is being worked on; after a failure the first map is shown."""
    display = replace(state.display, kind=None) if failed else state.display
    return replace(state, inquiry=None, display=display)


def add_tree(
    state: SessionState, subject: int, classifier: str, linkage: Linkage, tree: Any
) -> SessionState:
    """Keep a tree that was grown for an answer."""
    return _update_answer(
        state, subject, classifier, lambda answer: {"trees": {**answer.trees, linkage: tree}}
    )


def add_masks(
    state: SessionState,
    subject: int,
    classifier: str,
    strategy: str,
    masks: Mapping[str, np.ndarray],
) -> SessionState:
    """Keep the masks of a mining strategy for an answer."""
    return _update_answer(
        state, subject, classifier, lambda answer: {"masks": {**answer.masks, strategy: masks}}
    )


def _update_answer(
    state: SessionState,
    subject: int,
    classifier: str,
    fields: Callable[[Answer], dict[str, Any]],
) -> SessionState:
    answers = tuple(
        replace(answer, **fields(answer))
        if (answer.subject, answer.classifier) == (subject, classifier)
        else answer
        for answer in state.answers
    )
    return replace(state, answers=answers)


# Actions: display and selection


def choose_kind(state: SessionState, kind: Kind) -> SessionState:
    """Choose what is coloured; it becomes visible."""
    return replace(state, display=_seen(replace(state.display, kind=kind, name="")))


def _seen(display: Display, *, visible: bool = True) -> Display:
    """Show or hide whatever is coloured."""
    for role in OVERLAYS:
        display = display.with_look(role, Look(visible=visible))
    return display


def show_training(state: SessionState) -> SessionState:
    """Show the overlay of the watched bag in training, whatever was hidden."""
    display = replace(state.display, kind=Kind.TRAINING)
    return replace(state, display=_seen(display))


def choose_name(state: SessionState, name: str) -> SessionState:
    """Choose the class or head that is coloured."""
    column = state.column
    kind = state.display.kind if column is None else column.kind
    return replace(state, display=replace(state.display, kind=kind, name=name))


def step_name(state: SessionState, step: int) -> SessionState:
    """Choose the next or the previous class or head."""
    column = state.column
    if column is None:
        return state
    names = [other.name for other in state.columns if other.kind is column.kind]
    return choose_name(state, names[(names.index(column.name) + step) % len(names)])


def choose_scale(state: SessionState, scale: ScaleMode) -> SessionState:
    """Choose how values become colours."""
    return replace(state, display=replace(state.display, scale=scale))


def choose_clusters(
    state: SessionState, n_clusters: int | None = None, linkage: Linkage | None = None
) -> SessionState:
    """Choose how many clusters of which tree are shown."""
    display = state.display
    if n_clusters is not None:
        display = replace(display, n_clusters=n_clusters)
    if linkage is not None:
        display = replace(display, linkage=linkage)
    return replace(state, display=display)


def choose_strategy(state: SessionState, strategy: str) -> SessionState:
    """Choose the mining strategy whose masks are shown."""
    return replace(state, display=replace(state.display, strategy=strategy))


def set_look(state: SessionState, role: Role, look: Look) -> SessionState:
    """Keep what a person changed on layers of a role; one eye counts for all that is coloured."""
    # Values and groups share one opacity, which Inspect shows.
    display = state.display.with_look(Role.OVERLAY if role is Role.GROUPS else role, look)
    if role in OVERLAYS and look.visible is not None:
        display = _seen(display, visible=look.visible)
    return replace(state, display=display)


def hide_overlay(state: SessionState) -> SessionState:
    """Hide what is coloured."""
    return replace(state, display=_seen(state.display, visible=False))


def toggle_overlay(state: SessionState) -> SessionState:
    """Hide what is coloured, or show it again."""
    if state.display.look(Role.OVERLAY).visible is False:
        return replace(state, display=_seen(state.display))
    return hide_overlay(state)


def select(state: SessionState, instances: Sequence[int]) -> SessionState:
    """Select instances of the shown subject."""
    layout = state.layout
    n = 0 if layout is None else len(layout)
    within = tuple(instance for instance in instances if 0 <= instance < n)
    if state.current is None or not within:
        return clear_selection(state)
    selection = Selection(state.current, within)
    if selection == state.selection:
        return state
    return replace(state, selection=selection)


def clear_selection(state: SessionState) -> SessionState:
    """Select nothing."""
    if state.selection is None:
        return state
    return replace(state, selection=None, picture=None)


def step_selection(state: SessionState, step: int) -> SessionState:
    """Select the next instance by rank of the values that are shown."""
    values = state.values
    if values is None or state.current is None:
        return state
    order = order_by(values)
    if not len(order):
        return state
    selection = state.selection
    if selection is None or selection.subject != state.current:
        return select(state, (int(order[0]),))
    places = np.flatnonzero(order == selection.instance)
    place = int(places[0]) if len(places) else -step
    return select(state, (int(order[np.clip(place + step, 0, len(order) - 1)]),))


def set_picture(state: SessionState, picture: Picture) -> SessionState:
    """Keep the pixels of the selected instance, unless another one is selected by now."""
    selection = state.selection
    wanted = None if selection is None else (selection.subject, selection.instance)
    if wanted != (picture.subject, picture.instance):
        return state
    return replace(state, picture=picture)


# Actions: notices


def add_notice(state: SessionState, text: str, details: str = "") -> SessionState:
    """Show a sentence until it is closed; the same sentence is shown once."""
    others = tuple(notice for notice in state.notices if notice.text != text)
    notice = Notice(state.next_key, text, details)
    return replace(state, notices=(*others, notice), next_key=state.next_key + 1)


def close_notice(state: SessionState, key: int) -> SessionState:
    """Close a notice."""
    rest = tuple(notice for notice in state.notices if notice.key != key)
    return replace(state, notices=rest)
