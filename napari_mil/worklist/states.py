"""What is on disk about the slides and bags of a worklist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from napari_mil.errors import NapariMilError, OutputError, Remedy
from napari_mil.events import CancellationToken
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.planning import check_content
from napari_mil.inference.results import ClassifyRequest, ResultStore
from napari_mil.inference.stored_results import (
    StoredResult,
    read_result,
    why_other_classifier,
    why_outdated,
)
from napari_mil.inference.targets import FindScale, Target, open_target
from napari_mil.worklist.items import WorkItem
from napari_mil.worklist.records import FAILED as FAILED_WORD


class ResultState(StrEnum):
    """State of a slide or bag in its folder of results."""

    NOTHING = "to do"
    DONE = "done"
    STALE = "stale"
    """Its answer was made from something else than would be used now."""
    FAILED = FAILED_WORD
    """It cannot be classified, or its last run failed."""


@dataclass(frozen=True)
class Found:
    """What is known of one slide or bag and its result."""

    state: ResultState
    result: StoredResult | None = None
    """Its answer, also where that is stale."""
    reasons: tuple[str, ...] = ()
    """What is other than when the answer was made, as clauses."""
    problem: str = ""
    """Why it failed, in one sentence."""
    fingerprint: str = ""
    """Identifier of its content; empty where that could not be read."""


@dataclass(frozen=True)
class Question:
    """What would classify, and where results lie."""

    out: Path
    card: ClassifierCard
    classifier_fingerprint: str
    request: ClassifyRequest
    remedies: Mapping[Remedy, str]
    """Words of the face that shows what failed."""
    find_mpp: FindScale | None = None
    """Asked for the scale of a slide; None takes what its file says."""


def look_at_all(
    items: Sequence[WorkItem],
    wanted: Iterable[int],
    question: Question,
    on_found: Callable[[int, Found], None],
    cancel: CancellationToken,
) -> None:
    """Say of each item what is on disk, one after the other.

    Slides are opened, but no pixel of them is read.

    Parameters
    ----------
    items
        All items of the list: those of the same name share the folders of that name.
    wanted
        Numbers of the items to look at.
    question
        What would classify, and where results lie.
    on_found
        Told (number, what is known of it).
    cancel
        Asked once per item.
    """
    twins: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        twins[item.name].append(number)
    contents: dict[int, str] = {}
    for number in wanted:
        cancel.raise_if_cancelled()
        others = set()
        for other in twins[items[number].name]:
            if other == number:
                continue
            if other not in contents:
                contents[other] = _content_of(items[other])
            others.add(contents[other])
        found = look_at(items[number], question, frozenset(others))
        contents[number] = found.fingerprint
        on_found(number, found)


def _content_of(item: WorkItem) -> str:
    """Return the fingerprint of an item, or nothing where it cannot be read."""
    if item.path is None:
        return "" if item.result is None else item.result.fingerprint
    try:
        with open_target(item.path) as target:
            return target.identity.fingerprint
    except NapariMilError:
        return ""


def look_at(item: WorkItem, question: Question, others: frozenset[str] = frozenset()) -> Found:
    """Say what is on disk about one slide or bag.

    Parameters
    ----------
    item
        The slide or bag.
    question
        What would classify, and where results lie.
    others
        Fingerprints of other slides or bags of its name, whose results are none of its own.
    """
    if item.path is None:
        return _look_without_target(item, question)
    try:
        with open_target(item.path, find_mpp=question.find_mpp) as target:
            return _look_at_target(target, item, question, others)
    except NapariMilError as error:
        earlier = _any_result(item, question, others)
        problem = error.worded(question.remedies)
        return Found(ResultState.FAILED, earlier, problem=problem)


def _look_without_target(item: WorkItem, question: Question) -> Found:
    """Say what is known of a result whose slide is not at hand: whether it is whole."""
    if item.result is None:
        return Found(ResultState.FAILED, problem=item.problem)
    try:
        result = read_result(item.result.folder)
    except OutputError as error:
        return Found(ResultState.FAILED, problem=str(error))
    reasons = []
    if result.classifier_fingerprint != question.classifier_fingerprint:
        reasons.append(why_other_classifier(result, question.card))
    state = ResultState.STALE if reasons else ResultState.DONE
    return Found(state, result, tuple(reasons), fingerprint=result.fingerprint)


def _look_at_target(
    target: Target, item: WorkItem, question: Question, others: frozenset[str]
) -> Found:
    fingerprint = target.identity.fingerprint
    result, broken = _result_of(target.identity.name, fingerprint, item, question, others)
    card = question.card
    try:
        check_content(target.content, card)
        if result is None:
            state = ResultState.FAILED if broken else ResultState.NOTHING
            return Found(state, problem=broken, fingerprint=fingerprint)
        reasons = why_outdated(
            result,
            target,
            card,
            question.classifier_fingerprint,
            question.request.tiles,
            question.request.mask,
        )
    except NapariMilError as error:
        problem = error.worded(question.remedies)
        return Found(ResultState.FAILED, result, problem=problem, fingerprint=fingerprint)
    state = ResultState.STALE if reasons else ResultState.DONE
    return Found(state, result, reasons, fingerprint=fingerprint)


def _result_of(
    name: str, fingerprint: str, item: WorkItem, question: Question, others: frozenset[str]
) -> tuple[StoredResult | None, str]:
    """Return the result of a content, or of an earlier content of the name; what is cut short.

    The folders are those that `ResultStore.place` tries, in its order.
    """
    earlier = None
    broken = ""
    candidates = list(ResultStore(question.out).results_named(name))
    if item.result is not None:
        candidates.append(item.result)
    for candidate in candidates:
        if isinstance(candidate, Path):
            broken = broken or _why_broken(candidate)
        elif candidate.fingerprint == fingerprint:
            return candidate, ""
        elif candidate.fingerprint not in others:
            earlier = earlier or candidate
    return earlier, "" if earlier is not None else broken


def _why_broken(folder: Path) -> str:
    """Say why a folder holds no complete answer; nothing where it is not one of an answer."""
    try:
        read_result(folder)
    except OutputError as error:
        # A folder without any prediction is somebody else's.
        is_missing = isinstance(error.__cause__, FileNotFoundError)
        return "" if is_missing else str(error)
    return ""


def _any_result(item: WorkItem, question: Question, others: frozenset[str]) -> StoredResult | None:
    return _result_of(item.name, "", item, question, others)[0]
