"""Connects the Worklist tab with listing, looking at results, the run and the notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_mil.errors import NapariMilError
from napari_mil.events import Advanced, CancellationToken, Started
from napari_mil.gui.controllers.stored_answers import StoredAnswersController, StoredPlace
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import worklist as actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.words import HAND_REMEDIES, REMEDIES
from napari_mil.gui.model.worklist import Phase
from napari_mil.gui.opening import WORK
from napari_mil.gui.remembered_scales import RememberedScales
from napari_mil.gui.thumbnails import thumbnail_of
from napari_mil.gui.views.worklist_tab import WorklistTab
from napari_mil.gui.views.worklist_table import THUMBNAIL
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.results import ClassifyRequest
from napari_mil.settings import Settings
from napari_mil.slides import Slide
from napari_mil.worklist.items import Worklist, locate, read_worklist, with_records
from napari_mil.worklist.records import write_table
from napari_mil.worklist.running import RowEnded, RowStarted
from napari_mil.worklist.states import Found, Question, look_at_all

READ_JOB = "worklist"
LOOK_JOB = "worklist results"
RUN_JOB = "worklist run"
SAVE_JOB = "worklist table"
THUMBNAILS_JOB = "worklist thumbnails"
STOPPED = "Stopped; what is done stays, run again to go on."


class WorklistController:
    """Lists slides and bags, says what is on disk about each, and classifies them.

    Parameters
    ----------
    session
        Gets the list and what is known of its rows.
    view
        The Worklist tab.
    jobs
        Runs the work in threads.
    settings
        Folders and thread counts.
    open_paths
        Opens slides and bags.
    show_worklist
        Brings the tab to the front.
    """

    def __init__(
        self,
        session: Session,
        view: WorklistTab,
        jobs: JobRunner,
        settings: Settings,
        open_paths: Callable[[Sequence[Path]], None],
        show_worklist: Callable[[], None],
    ) -> None:
        self._session = session
        self._view = view
        self._jobs = jobs
        self._settings = settings
        self._open_paths = open_paths
        self._show_worklist = show_worklist
        self._stored = StoredAnswersController(session, jobs, settings, open_paths)
        self._is_dirty = False
        """Whether notes or states are not on disk yet."""
        self._says_where = False
        """Whether a person asked for the table."""
        view.path_dropped.connect(lambda path: self.open(Path(path)))
        view.classifier_chosen.connect(self.choose_classifier)
        view.run_requested.connect(self.run)
        view.pause_requested.connect(self.pause)
        view.go_on_requested.connect(self.go_on)
        view.stop_requested.connect(self.stop)
        view.save_requested.connect(self.save)
        view.table.row_opened.connect(self.open_row)
        view.table.note_written.connect(self.write_note)
        view.table.thumbnails_wanted.connect(self.make_thumbnails)
        session.changed.connect(self._on_changed)

    # Listing

    def open(self, source: Path) -> None:
        """List a folder, a table or a folder of results."""
        if self._session.state.listing.phase is not Phase.IDLE:
            self._session.change_listing(
                actions.say, "A run is under way; stop it before another list is opened."
            )
            self._show_worklist()
            return
        self._session.change_listing(actions.start_reading, source.name)
        self._show_worklist()
        job = self._jobs.start(READ_JOB, lambda tell, cancel: read_worklist(source))
        job.succeeded.connect(self._on_read)
        job.failed.connect(self._on_unread)

    def _on_read(self, worklist: Worklist) -> None:
        state = self._session.state
        noted = [record.classifier for record in worklist.records]
        answered = [item.result.classifier for item in worklist.items if item.result is not None]
        offered = [card.name for card in state.cards]
        # Results are shown by the classifier that made them.
        known = (name for name in (*noted, *answered) if name in offered)
        wanted = next(known, state.classifier)
        self.save_now()
        self._session.change_listing(actions.show, worklist, wanted)
        self.look()

    def _on_unread(self, text: str, details: str) -> None:
        self._session.change_listing(actions.end_reading, text)
        if details:
            self._session.apply(session_actions.add_notice, text, details)

    def choose_out(self, out: Path) -> None:
        """Take another folder of results; what is known there is shown."""
        listing = self._session.state.listing
        if listing.worklist is None or listing.phase is not Phase.IDLE:
            return
        try:
            worklist = with_records(replace(listing.worklist, out=out))
        except NapariMilError as error:
            self._session.change_listing(actions.say, str(error))
            return
        self._session.change_listing(actions.move, worklist)
        if any(row.note for row in listing.rows):
            self._save()
        self.look()

    def locate(self, folder: Path) -> None:
        """Look in a folder for slides whose place is not known."""
        worklist = self._session.state.listing.worklist
        if worklist is None:
            return
        job = self._jobs.start(READ_JOB, lambda tell, cancel: locate(worklist, folder))
        job.succeeded.connect(self._on_located)
        job.failed.connect(self._on_unread)

    def _on_located(self, worklist: Worklist) -> None:
        before = self._session.state.listing.worklist
        self._session.change_listing(actions.relocate, worklist)
        if before is not None and worklist.items != before.items:
            self._save()
        self.look()

    def choose_classifier(self, name: str) -> None:
        """Choose the classifier of the next run; what is stale depends on it."""
        self._session.change_listing(actions.choose_classifier, name)
        self.look()

    # Results on disk

    def look(self) -> None:
        """Say of every row what is on disk, one after the other in a thread."""
        listing = self._session.state.listing
        worklist = listing.worklist
        card = self._card()
        if worklist is None or card is None:
            return
        request = self._request()
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> None:
            question = _question(worklist, card, request, settings)
            numbers = range(len(worklist.items))
            look_at_all(
                worklist.items, numbers, question, lambda k, found: tell((k, found)), cancel
            )

        self._session.change_listing(actions.start_looking)
        job = self._jobs.start(LOOK_JOB, work)
        job.event_happened.connect(lambda event: self._on_found(worklist, *event))
        job.failed.connect(
            lambda text, details: self._session.change_listing(actions.end_looking, text)
        )
        job.ended.connect(lambda: self._on_looked(job))

    def _on_found(self, worklist: Worklist, number: int, found: Found) -> None:
        listing = self._session.state.listing
        if listing.worklist is worklist and not listing.rows[number].is_running:
            self._session.change_listing(actions.find, number, found)

    def _on_looked(self, job: Any) -> None:
        if self._jobs.current(LOOK_JOB) in (None, job):
            self._session.change_listing(actions.end_looking)

    def _card(self) -> ClassifierCard | None:
        state = self._session.state
        name = state.listing.classifier
        return next((card for card in state.cards if card.name == name), None)

    def _request(self) -> ClassifyRequest:
        return ClassifyRequest(device=self._session.state.device, settings=self._settings)

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        """Look anew where a classifier of the list became a choice or was replaced."""
        if before.cards == after.cards or after.listing.worklist is None:
            return
        if after.listing.phase is Phase.IDLE:
            self.look()

    # The run

    def run(self) -> None:
        """Classify every row without an answer that holds, one after the other."""
        listing = self._session.state.listing
        worklist = listing.worklist
        card = self._card()
        numbers = listing.to_do
        if worklist is None or card is None or not numbers or listing.phase is not Phase.IDLE:
            return
        self._jobs.cancel(LOOK_JOB)
        request = self._request()
        settings = self._settings

        def work(tell: Tell, cancel: CancellationToken) -> None:
            question = _question(worklist, card, request, settings)
            heavy = import_module(WORK)
            heavy.classify_worklist(worklist.items, numbers, question, tell, cancel)

        self._session.change_listing(actions.start_run, frozenset(numbers))
        job = self._jobs.start(RUN_JOB, work, patient=True)
        job.event_happened.connect(self._on_event)
        job.succeeded.connect(lambda _: self._session.change_listing(actions.end_run))
        job.cancelled.connect(
            lambda: self._session.change_listing(actions.end_run, STOPPED, cautions=False)
        )
        job.failed.connect(self._on_run_failed)
        job.ended.connect(self.look)

    def pause(self) -> None:
        """Let the run wait after the batch at hand."""
        job = self._jobs.current(RUN_JOB)
        if job is not None:
            job.token.pause()
            self._session.change_listing(actions.set_phase, Phase.PAUSED)

    def go_on(self) -> None:
        """Let a paused run go on where it is."""
        job = self._jobs.current(RUN_JOB)
        if job is not None:
            job.token.resume()
            self._session.change_listing(actions.set_phase, Phase.RUNNING)

    def stop(self) -> None:
        """End the run after the batch at hand; what is done stays."""
        self._session.change_listing(actions.set_phase, Phase.STOPPING)
        self._jobs.cancel(RUN_JOB)

    def _on_event(self, event: Any) -> None:
        if isinstance(event, RowStarted):
            self._session.change_listing(actions.start_row, event.number)
        elif isinstance(event, Started):
            self._session.change_listing(actions.count, event.total)
        elif isinstance(event, Advanced):
            self._session.change_listing(actions.advance, event.done, event.eta)
        elif isinstance(event, RowEnded):
            self._session.change_listing(actions.end_row, event.number, event.found)
            self._save()

    def _on_run_failed(self, text: str, details: str) -> None:
        self._session.change_listing(actions.end_run, text)
        if details:
            self._session.apply(session_actions.add_notice, text, details)

    # Rows

    def open_row(self, number: int) -> None:
        """Open the slide or bag of a row with its stored answer; nothing is computed."""
        row = self._session.state.listing.rows[number]
        path = row.item.path
        if path is None or not path.exists():
            words = row.problem or row.item.problem
            words = words or f"{row.item.name} is not there any more (in {path})."
            self._session.change_listing(actions.say, words)
        elif row.found is None or row.found.result is None:
            self._open_paths([path])
        else:
            place = StoredPlace(path, row.found.result.folder, row.found.reasons)
            self._stored.open(place)

    def write_note(self, number: int, note: str) -> None:
        """Keep the note of a row, here and on disk."""
        self._session.change_listing(actions.write_note, number, note)
        self._save()

    def make_thumbnails(self, numbers: Sequence[int]) -> None:
        """Make the thumbnails of some rows, the first ones first; others are not made any more."""
        worklist = self._session.state.listing.worklist
        if worklist is None:
            return
        paths = [(number, worklist.items[number].path) for number in numbers]
        settings = self._settings
        size = (2 * THUMBNAIL[0], 2 * THUMBNAIL[1])

        def work(tell: Tell, cancel: CancellationToken) -> None:
            for number, path in paths:
                pixels = None if path is None else thumbnail_of(path, size, settings, cancel)
                tell((number, pixels))

        job = self._jobs.start(THUMBNAILS_JOB, work)
        job.event_happened.connect(lambda event: self._on_thumbnail(worklist, *event))

    def _on_thumbnail(self, worklist: Worklist, number: int, pixels: Any) -> None:
        if self._session.state.listing.worklist is worklist:
            self._view.table.set_thumbnail(number, pixels)

    # Notes and states on disk

    def save(self) -> None:
        """Write the table, and say where it is."""
        self._says_where = True
        self._save()

    def _save(self) -> None:
        """Write the table in a thread; while one is written, what changes is written after it."""
        self._is_dirty = True
        if not self._jobs.is_running(SAVE_JOB):
            self._start_saving()

    def _start_saving(self) -> None:
        self._is_dirty = False
        write = self._writing()
        if write is None:
            return
        job = self._jobs.start(SAVE_JOB, lambda tell, cancel: write())
        job.succeeded.connect(self._on_saved)
        job.failed.connect(lambda text, details: self._session.change_listing(actions.say, text))
        job.ended.connect(lambda: self._start_saving() if self._is_dirty else None)

    def _on_saved(self, table: Path) -> None:
        if self._says_where:
            self._says_where = False
            self._session.change_listing(actions.say, f"Written to {table}.", cautions=False)

    def _writing(self) -> Callable[[], Path] | None:
        """Return what writes the table as it is now."""
        listing = self._session.state.listing
        worklist = listing.worklist
        if worklist is None:
            return None
        rows = [row.table_row(listing.classifier) for row in listing.rows]
        return lambda: write_table(worklist.out, rows, worklist.columns)

    def save_now(self) -> None:
        """Write what is not on disk yet, before the window or the list goes."""
        write = self._writing() if self._is_dirty else None
        self._is_dirty = False
        if write is not None:
            try:
                write()
            except NapariMilError as error:
                self._session.change_listing(actions.say, str(error))


def _question(
    worklist: Worklist, card: ClassifierCard, request: ClassifyRequest, settings: Settings
) -> Question:
    """Return what would classify; the weights are read, so this is for threads."""
    fingerprint = import_module(WORK).fingerprint_of(card, settings)
    scales = RememberedScales(settings)

    def find_mpp(slide: Slide) -> float | None:
        entered = scales.find(slide)
        return None if entered is None else entered.mpp

    return Question(
        worklist.out, card, fingerprint, request, {**REMEDIES, **HAND_REMEDIES}, find_mpp
    )
