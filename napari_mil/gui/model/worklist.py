"""The worklist that is shown: its rows, what is known of each, and the run over them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from napari_mil.worklist.items import WorkItem, Worklist
from napari_mil.worklist.records import Record, TableRow
from napari_mil.worklist.states import Found, ResultState


class Phase(StrEnum):
    """How far the run over a worklist is."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"


@dataclass(frozen=True, eq=False)
class Row:
    """One slide or bag of the list."""

    item: WorkItem
    note: str = ""
    failure: str = ""
    """Why its last run failed, in one sentence."""
    found: Found | None = None
    """What is on disk; None while nobody looked."""
    is_waiting: bool = False
    """Whether the run comes to it yet."""
    is_running: bool = False
    done: int = 0
    """Instances that are encoded."""
    total: int = 0
    """Instances in all; 0 while they are not counted."""

    @property
    def state(self) -> ResultState | None:
        """State on disk; None while nobody looked."""
        if self.found is None:
            return None
        if self.failure and self.found.state in (ResultState.NOTHING, ResultState.STALE):
            return ResultState.FAILED
        return self.found.state

    @property
    def problem(self) -> str:
        """Why it failed, in one sentence."""
        if self.found is not None and self.found.problem:
            return self.found.problem
        return self.failure if self.state is ResultState.FAILED else ""

    def table_row(self, classifier: str) -> TableRow:
        """Return its row of ``worklist.csv``, under the name of the chosen classifier."""
        result = None if self.found is None else self.found.result
        record = Record(
            self.item.name,
            self.item.path,
            self.note,
            self.problem,
            classifier if result is None else result.classifier,
            "" if result is None else result.folder.name,
            self.item.cells,
        )
        state = "" if self.state is None else str(self.state)
        if result is None:
            return TableRow(record, state)
        return TableRow(
            record, state, result.labels, result.classes, result.probabilities, result.unlike
        )


@dataclass(frozen=True, eq=False)
class Listing:
    """Everything that the Worklist tab shows."""

    wanted: bool = False
    """Whether the tab is asked for with nothing open."""
    reading: str = ""
    """Name of the folder or table that is being listed."""
    worklist: Worklist | None = None
    rows: tuple[Row, ...] = ()
    classifier: str = ""
    """Name of the classifier of the run."""
    looking: bool = False
    """Whether the results on disk are being looked at."""
    phase: Phase = Phase.IDLE
    eta: float | None = None
    """Seconds left for the row that is running."""
    message: str = ""
    cautions: bool = True
    """Whether the message says that something is wrong."""

    @property
    def running(self) -> int | None:
        """Number of the row that is running, or None."""
        return next((k for k, row in enumerate(self.rows) if row.is_running), None)

    @property
    def to_do(self) -> tuple[int, ...]:
        """Numbers of the rows that a run classifies: all that have no answer that holds."""
        return tuple(k for k, row in enumerate(self.rows) if row.state is not ResultState.DONE)


def want(listing: Listing) -> Listing:
    """Show the tab, also with nothing open."""
    return listing if listing.wanted else replace(listing, wanted=True)


def start_reading(listing: Listing, name: str) -> Listing:
    """Say that a folder or table is being listed."""
    return replace(listing, wanted=True, reading=name, message="")


def end_reading(listing: Listing, message: str) -> Listing:
    """Say why nothing could be listed; what was listed before stays."""
    return replace(listing, reading="", message=message, cautions=True)


def show(listing: Listing, worklist: Worklist, classifier: str = "") -> Listing:
    """Show a list; nothing is known of its results yet."""
    classifier = classifier or listing.classifier
    rows = tuple(
        _new_row(item, record, classifier)
        for item, record in zip(worklist.items, worklist.records, strict=True)
    )
    message = "; ".join(finding.text for finding in worklist.warnings)
    return Listing(
        wanted=True,
        worklist=worklist,
        rows=rows,
        classifier=classifier,
        message=message,
    )


def _new_row(item: WorkItem, record: Record, classifier: str) -> Row:
    # Another classifier need not fail where one did.
    return Row(item, record.note, record.failure if record.classifier == classifier else "")


def relocate(listing: Listing, worklist: Worklist) -> Listing:
    """Take the paths of a list whose slides were found; notes and states stay."""
    rows = tuple(
        replace(row, item=item, found=row.found if item == row.item else None)
        for row, item in zip(listing.rows, worklist.items, strict=True)
    )
    return replace(listing, worklist=worklist, rows=rows)


def move(listing: Listing, worklist: Worklist) -> Listing:
    """Take another folder of results; notes that stand there replace those of before."""
    rows = tuple(
        replace(_new_row(row.item, record, listing.classifier), note=record.note or row.note)
        for row, record in zip(listing.rows, worklist.records, strict=True)
    )
    return replace(listing, worklist=worklist, rows=rows, message="")


def choose_classifier(listing: Listing, name: str) -> Listing:
    """Choose the classifier of the next run; what is on disk is to be looked at again."""
    if name == listing.classifier or listing.phase is not Phase.IDLE:
        return listing
    rows = tuple(replace(row, found=None, failure="") for row in listing.rows)
    return replace(listing, classifier=name, rows=rows, message="")


def start_looking(listing: Listing) -> Listing:
    """Say that the results on disk are being looked at."""
    return replace(listing, looking=True)


def end_looking(listing: Listing, message: str = "") -> Listing:
    """Say that the results on disk are known, or why not."""
    listing = replace(listing, looking=False)
    return replace(listing, message=message, cautions=True) if message else listing


def find(listing: Listing, number: int, found: Found) -> Listing:
    """Keep what is on disk about a row."""
    return _change(listing, number, lambda row: replace(row, found=found))


def write_note(listing: Listing, number: int, note: str) -> Listing:
    """Keep the note of a row."""
    if listing.rows[number].note == note:
        return listing
    return _change(listing, number, lambda row: replace(row, note=note))


def start_run(listing: Listing, numbers: Collection[int]) -> Listing:
    """Begin a run over some rows."""
    rows = tuple(replace(row, is_waiting=k in numbers) for k, row in enumerate(listing.rows))
    return replace(listing, rows=rows, phase=Phase.RUNNING, eta=None, message="")


def start_row(listing: Listing, number: int) -> Listing:
    """Say that the run has come to a row."""
    listing = replace(listing, eta=None)
    return _change(
        listing, number, lambda row: replace(row, is_waiting=False, is_running=True, done=0)
    )


def count(listing: Listing, total: int) -> Listing:
    """Say how many instances the running row has."""
    return _change_running(listing, lambda row: replace(row, done=0, total=total))


def advance(listing: Listing, done: int, eta: float | None) -> Listing:
    """Say how far the running row is."""
    return _change_running(replace(listing, eta=eta), lambda row: replace(row, done=done))


def end_row(listing: Listing, number: int, found: Found) -> Listing:
    """Keep what became of a row of the run."""
    # What was answered before is still there where the new run failed.
    earlier = listing.rows[number].found
    if found.result is None and earlier is not None:
        found = replace(found, result=earlier.result)
    return _change(
        listing,
        number,
        lambda row: replace(
            row, found=found, failure=found.problem, is_running=False, done=0, total=0
        ),
    )


def set_phase(listing: Listing, phase: Phase) -> Listing:
    """Pause, go on with or stop the run that is under way."""
    if listing.phase in (Phase.IDLE, Phase.STOPPING):
        return listing
    return replace(listing, phase=phase)


def end_run(listing: Listing, message: str = "", *, cautions: bool = True) -> Listing:
    """End the run; rows that it did not come to stay as they are."""
    rows = tuple(
        replace(row, is_waiting=False, is_running=False, done=0, total=0)
        if row.is_waiting or row.is_running
        else row
        for row in listing.rows
    )
    return replace(
        listing, rows=rows, phase=Phase.IDLE, eta=None, message=message, cautions=cautions
    )


def say(listing: Listing, message: str, *, cautions: bool = True) -> Listing:
    """Say what went wrong, or what was done."""
    return replace(listing, message=message, cautions=cautions)


def _change(listing: Listing, number: int, change: Callable[[Row], Row]) -> Listing:
    rows = list(listing.rows)
    if not 0 <= number < len(rows):
        return listing
    rows[number] = change(rows[number])
    return replace(listing, rows=tuple(rows))


def _change_running(listing: Listing, change: Callable[[Row], Row]) -> Listing:
    number = listing.running
    return listing if number is None else _change(listing, number, change)
