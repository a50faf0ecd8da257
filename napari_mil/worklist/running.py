"""Classification of the slides and bags of a worklist, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from napari_mil.errors import CancelledError, NapariMilError, OutputError
from napari_mil.events import CancellationToken
from napari_mil.inference.results import ResultMaker, ResultStore
from napari_mil.inference.stored_results import read_result
from napari_mil.worklist.items import WorkItem
from napari_mil.worklist.states import Found, Question, ResultState


@dataclass(frozen=True, slots=True)
class RowStarted:
    """Classification of a slide or bag of the list begins."""

    number: int


@dataclass(frozen=True, slots=True)
class RowEnded:
    """A slide or bag of the list has its answer, or failed."""

    number: int
    found: Found


def classify_all(
    items: Sequence[WorkItem],
    wanted: Sequence[int],
    question: Question,
    on_event: Callable[[Any], None],
    cancel: CancellationToken,
) -> None:
    """Classify slides and bags into the folder of results, as the command line does.

    What fails is told and the others go on. A result made from the same content, classifier and
    grid is kept.

    Parameters
    ----------
    items
        All items of the list.
    wanted
        Numbers of those to classify, in this order.
    question
        What classifies, how, and where results lie.
    on_event
        Told `RowStarted`, the events of `classify`, and `RowEnded`.
    cancel
        Asked once per batch; pauses too.

    Raises
    ------
    OutputError
        If the folder of results cannot be written.
    CancelledError
        If it was cancelled; what was answered before is on disk.
    """
    store = ResultStore(question.out)
    store.prepare()
    maker = ResultMaker(question.card, question.request, store, find_mpp=question.find_mpp)
    for number in wanted:
        cancel.raise_if_cancelled()
        on_event(RowStarted(number))
        on_event(RowEnded(number, _classify(items[number], maker, question, on_event, cancel)))


def _classify(
    item: WorkItem,
    maker: ResultMaker,
    question: Question,
    on_event: Callable[[Any], None],
    cancel: CancellationToken,
) -> Found:
    if item.path is None:
        return Found(ResultState.FAILED, problem=item.problem)
    try:
        outcome = maker.make(item.path, on_event, cancel)
    except CancelledError:
        raise
    except OutputError:
        # The next one would fail alike.
        raise
    except NapariMilError as error:
        return Found(ResultState.FAILED, problem=error.worded(question.remedies))
    result = read_result(outcome.folder)
    return Found(ResultState.DONE, result, fingerprint=result.fingerprint)
