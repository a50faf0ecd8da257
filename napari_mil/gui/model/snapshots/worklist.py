"""What the Worklist tab shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.choices import Choice, Choices
from napari_mil.gui.model.words import count, time_left
from napari_mil.gui.model.worklist import Listing, Phase, Row
from napari_mil.inference.stored_results import StoredResult
from napari_mil.worklist.records import probability_of
from napari_mil.worklist.states import ResultState

EMPTY = (
    "A folder or table of slides or bags, classified one after the other in the background; "
    "every answer stays on disk and opens again with a double click."
)
NO_CLASSIFIER = "Choose a classifier first."
NOTHING_TO_DO = "Every row has an answer that holds."
EVERY_STATE = "every state"


class Column(IntEnum):
    """Columns of the table, from left to right."""

    SLIDE = 0
    STATE = 1
    CLASS = 2
    PROBABILITY = 3
    UNLIKE = 4
    NOTE = 5


HEADERS = {
    Column.SLIDE: "Slide",
    Column.STATE: "State",
    Column.CLASS: "Class",
    Column.PROBABILITY: "p",
    Column.UNLIKE: "Unlike",
    Column.NOTE: "Note",
}
HEADER_TIPS = {
    Column.SLIDE: "Slide, folder of images or feature file",
    Column.STATE: "to do, done, stale (made from something else than would be used now), failed",
    Column.CLASS: "Predicted class",
    Column.PROBABILITY: "Probability of the predicted class",
    Column.UNLIKE: "How unlike the training data it is; beyond 1 the answer may mean nothing",
    Column.NOTE: "Your note, kept in worklist.csv",
}


class StateWord(StrEnum):
    """States by which rows are filtered."""

    TO_DO = "to do"
    RUNNING = "running"
    DONE = "done"
    STALE = "stale"
    FAILED = "failed"


ORDER = {word: place for place, word in enumerate(StateWord)}


@dataclass(frozen=True)
class WorklistSnapshot:
    """What the tab shows; rows are words only once a view asks for them."""

    has_list: bool = False
    reading: str = ""
    """What is being listed; empty for nothing."""
    source: str = ""
    """Folder or table that is listed."""
    out: str = ""
    """Folder of results."""
    classifiers: Choices = field(default_factory=Choices)
    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    """Other columns of the table that is listed."""
    summary: str = ""
    phase: Phase = Phase.IDLE
    reason: str = ""
    """Why nothing can be run; empty where it can."""
    progress: str = ""
    message: str = ""
    cautions: bool = True
    lacks_slides: bool = False
    """Whether the slides of some results are not known."""


def worklist_snapshot(state: SessionState) -> WorklistSnapshot:
    """Return what the tab shows."""
    listing = state.listing
    worklist = listing.worklist
    if worklist is None:
        return WorklistSnapshot(
            reading=listing.reading, message=listing.message, cautions=listing.cautions
        )
    return WorklistSnapshot(
        has_list=True,
        reading=listing.reading,
        source=str(worklist.source),
        out=str(worklist.out),
        classifiers=_classifiers(state),
        rows=listing.rows,
        columns=worklist.columns,
        summary=_summary(listing),
        phase=listing.phase,
        reason=_reason(state),
        progress=_progress(listing),
        message=listing.message,
        cautions=listing.cautions,
        lacks_slides=any(row.item.path is None for row in listing.rows),
    )


def _classifiers(state: SessionState) -> Choices:
    listing = state.listing
    entries = tuple(Choice(card.name, card.name) for card in state.cards)
    busy = "" if listing.phase is Phase.IDLE else "Stop the run to choose another."
    return Choices(entries, listing.classifier, busy)


def _reason(state: SessionState) -> str:
    listing = state.listing
    if all(card.name != listing.classifier for card in state.cards):
        return NO_CLASSIFIER
    return "" if listing.to_do else NOTHING_TO_DO


def _summary(listing: Listing) -> str:
    counts = Counter(state_word(row) for row in listing.rows)
    parts = [f"{counts[StateWord.DONE]} of {len(listing.rows)} done"]
    parts += [
        f"{counts[word]} {word}" for word in (StateWord.STALE, StateWord.FAILED) if counts[word]
    ]
    if listing.looking:
        parts.append("looking at what is there…")
    return " · ".join(parts)


def _progress(listing: Listing) -> str:
    if listing.phase is Phase.IDLE:
        return ""
    waiting = sum(row.is_waiting for row in listing.rows)
    number = listing.running
    words = {Phase.PAUSED: "Paused", Phase.STOPPING: "Stopping"}.get(listing.phase, "")
    parts = [words] if words else []
    if number is not None and listing.rows[number].total:
        row = listing.rows[number]
        parts.append(f"{row.done} of {count(row.total, 'instance')}")
    line = " · ".join(parts) or "Reading…"
    if listing.phase is Phase.RUNNING:
        line += time_left(listing.eta)
    return f"{line} · {count(waiting, 'row')} to come" if waiting else line


def state_word(row: Row) -> StateWord:
    """Return the state by which a row is filtered."""
    if row.is_running:
        return StateWord.RUNNING
    if row.state is None:
        return StateWord.TO_DO
    return StateWord(str(row.state))


def state_text(row: Row) -> str:
    """Return the state of a row in a word or a share."""
    if row.is_running:
        return f"{100 * row.done // row.total} %" if row.total else "reading…"
    if row.is_waiting:
        return "waiting"
    return "…" if row.state is None else str(row.state)


def progress_of(row: Row) -> float | None:
    """Return the share of a running row that is encoded, or None."""
    if not row.is_running or not row.total:
        return None
    return row.done / row.total


def cell_text(row: Row, column: Column) -> str:
    """Return the text of a cell."""
    if column is Column.SLIDE:
        return row.item.name
    if column is Column.STATE:
        return state_text(row)
    if column is Column.NOTE:
        return row.note
    result = _result(row)
    if result is None:
        return ""
    if column is Column.CLASS:
        return ", ".join(result.labels) or "none"
    value = _number(result, column)
    return "" if value is None else f"{value:.2f}"


def sort_value(row: Row, column: Column) -> float | str:
    """Return the value by which a cell is sorted; missing numbers count as the lowest."""
    if column is Column.STATE:
        return float(ORDER[state_word(row)])
    if column in (Column.PROBABILITY, Column.UNLIKE):
        result = _result(row)
        value = None if result is None else _number(result, column)
        return -1.0 if value is None else value
    return cell_text(row, column).casefold()


def is_cautioned(row: Row, column: Column) -> bool:
    """Say whether a cell shows something that is wrong or uncertain."""
    if column is Column.STATE:
        is_queued = row.is_running or row.is_waiting
        return not is_queued and row.state in (ResultState.FAILED, ResultState.STALE)
    result = _result(row)
    if column is Column.UNLIKE:
        return result is not None and result.unlike is not None and result.unlike > 1
    return False


def is_faint(row: Row, column: Column) -> bool:
    """Say whether a cell shows an answer that does not hold any more."""
    is_answer = column in (Column.CLASS, Column.PROBABILITY, Column.UNLIKE)
    return is_answer and row.state is not ResultState.DONE


def row_tip(row: Row, columns: tuple[str, ...] = ()) -> str:
    """Return what a row says besides its cells, in lines."""
    lines = [str(row.item.path or row.item.name)]
    if remark := row_remark(row):
        lines.append(remark)
    result = _result(row)
    if result is not None:
        pairs = zip(result.classes, result.probabilities, strict=False)
        lines.append(", ".join(f"{name} {p:.2f}" for name, p in pairs))
        lines.append(f"{result.classifier} · {result.n_instances} instances")
    lines += [
        f"{name}: {cell}" for name, cell in zip(columns, row.item.cells, strict=False) if cell
    ]
    return "\n".join(lines)


def row_remark(row: Row) -> str:
    """Return what is wrong with a row, in one sentence; nothing where all is well."""
    if row.is_running or row.is_waiting:
        return ""
    if row.problem:
        return row.problem
    reasons = () if row.found is None else row.found.reasons
    return f"Out of date: {', '.join(reasons)}." if reasons else ""


def matches(row: Row, text: str, state: str) -> bool:
    """Say whether a row holds a text in any of its cells, and has a state; empty ones fit all."""
    if state and state_word(row) != state:
        return False
    if not text:
        return True
    cells = (row.item.name, cell_text(row, Column.CLASS), row.note, row.problem, *row.item.cells)
    return any(text.casefold() in cell.casefold() for cell in cells)


def _result(row: Row) -> StoredResult | None:
    return None if row.found is None else row.found.result


def _number(result: StoredResult, column: Column) -> float | None:
    if column is Column.UNLIKE:
        return result.unlike
    return probability_of(result.labels, result.classes, result.probabilities)
