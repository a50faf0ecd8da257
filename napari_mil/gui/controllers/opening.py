"""Opens what a person drops or chooses, and shows what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_mil.annotations.finding import ENDINGS as ANNOTATION_ENDINGS
from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions
from napari_mil.gui.model.recognition import PathKind
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.mosaic import Mosaic
from napari_mil.gui.opening import (
    OpenedAnnotations,
    OpenedClassifier,
    OpenedSubject,
    OpenedTraining,
    OpenedWorklist,
    Opener,
    Refused,
)
from napari_mil.gui.remembered_scales import RememberedScales
from napari_mil.gui.views.notice_board import NoticeBoard
from napari_mil.settings import Settings

OPEN_JOB = "open"
THUMBNAILS_JOB = "thumbnails"


class OpeningController:
    """Opens one batch of paths after the other.

    Parameters
    ----------
    session
        Gets what was opened.
    view
        Shows refusals and what is being opened.
    jobs
        Runs the opening in a thread.
    settings
        Cache sizes and thread counts.
    take_training
        Told (path, what it is) of what belongs to the Train tab.
    take_worklist
        Told the path of what belongs to the Worklist tab.
    show_classify
        Called when a classifier became a choice.
    """

    def __init__(
        self,
        session: Session,
        view: NoticeBoard,
        jobs: JobRunner,
        settings: Settings,
        take_training: Callable[[Path, PathKind], None],
        take_worklist: Callable[[Path], None],
        show_classify: Callable[[], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._settings = settings
        self._scales = RememberedScales(settings)
        self._take_training = take_training
        self._take_worklist = take_worklist
        self._show_classify = show_classify
        self._waiting: list[tuple[list[Path], float | None]] = []
        self._unfinished: dict[int, Mosaic] = {}
        self._shown: int | None = None
        """Key of the subject that was shown when the batch began: annotations are its own."""
        view.close_requested.connect(self._close_notice)
        view.cancel_requested.connect(self.cancel)

    def open(self, paths: Sequence[Path], mpp: float | None = None) -> None:
        """Open paths; one that cannot be opened is said and the others still open."""
        wanted = []
        for path in paths:
            subject = _open_already(self._session.state, path)
            if subject is not None and mpp is None:
                self._session.apply(actions.choose_subject, subject.key)
            else:
                wanted.append(path)
        if not wanted:
            return
        for path in wanted:
            self._session.apply(actions.start_opening, path.name)
        # Annotations lie on a slide that may be among the others.
        last = [path for path in wanted if path.name.lower().endswith(ANNOTATION_ENDINGS)]
        first = [path for path in wanted if path not in last]
        self._waiting += [(paths, mpp) for paths in (first, last) if paths]
        if not self._jobs.is_running(OPEN_JOB):
            self._start_next()

    def cancel(self) -> None:
        """Stop opening."""
        for paths, _ in self._waiting[1:]:
            for path in paths:
                self._session.apply(actions.end_opening, path.name)
        del self._waiting[1:]
        self._jobs.cancel(OPEN_JOB)

    def _start_next(self) -> None:
        paths, mpp = self._waiting[0]
        opener = self._opener(mpp)

        def work(tell: Tell, cancel: CancellationToken) -> None:
            for path in paths:
                for opened in opener.open(path, cancel):
                    tell(opened)
                tell(path)

        job = self._jobs.start(OPEN_JOB, work)
        job.event_happened.connect(self._on_event)
        job.failed.connect(
            lambda text, details: self._session.apply(actions.add_notice, text, details)
        )
        job.ended.connect(lambda: self._on_ended(paths))

    def _opener(self, mpp: float | None) -> Opener:
        state = self._session.state
        current = state.current_subject
        self._shown = state.current
        slide = None if current is None else current.slide
        slides = [subject.slide for subject in state.subjects if subject.slide is not None]
        return Opener(
            settings=self._settings,
            slides=slides,
            origin=None if slide is None else (float(slide.origin[0]), float(slide.origin[1])),
            report=self.report,
            slide_mpp=mpp,
            find_scale=self._scales.find,
        )

    def report(self, text: str) -> None:
        """Take a fault of reading from napari's thread to the event loop."""

        def work(tell: Tell, cancel: CancellationToken) -> None:
            tell(Refused(text))

        self._jobs.start(f"report {text}", work).event_happened.connect(self._on_event)

    def _on_event(self, event: Any) -> None:
        if isinstance(event, OpenedSubject):
            self._add_subject(event)
        elif isinstance(event, OpenedAnnotations):
            self._add_annotations(event)
        elif isinstance(event, OpenedClassifier):
            self._session.apply(actions.add_card, event.card)
            self._show_classify()
        elif isinstance(event, OpenedTraining):
            self._take_training(event.path, event.kind)
        elif isinstance(event, OpenedWorklist):
            self._take_worklist(event.path)
        elif isinstance(event, Refused):
            self._session.apply(actions.add_notice, event.text)
        elif isinstance(event, Path):
            self._session.apply(actions.end_opening, event.name)

    def _add_subject(self, opened: OpenedSubject) -> None:
        key = self._session.state.next_key
        subject = Subject(
            key=key,
            name=opened.name,
            kind=opened.kind,
            path=opened.path,
            pixels=opened.pixels,
            slide=opened.slide,
            entered=opened.entered,
            images=opened.images,
            bag=opened.bag,
            layout=opened.layout,
            remarks=opened.remarks,
        )
        self._session.apply(actions.add_subject, subject)
        if opened.mosaic is not None:
            self._unfinished[key] = opened.mosaic
            if not self._jobs.is_running(THUMBNAILS_JOB):
                self._finish_thumbnails()

    def _finish_thumbnails(self) -> None:
        """Decode the thumbnails that are missing, then show the bag anew."""
        if not self._unfinished:
            return
        key, mosaic = next(iter(self._unfinished.items()))

        def work(tell: Tell, cancel: CancellationToken) -> Any:
            mosaic.make_thumbnails(cancel)
            return mosaic.pixels()

        job = self._jobs.start(THUMBNAILS_JOB, work)
        job.succeeded.connect(lambda pixels: self._session.apply(actions.set_pixels, key, pixels))

        def on_ended() -> None:
            self._unfinished.pop(key, None)
            self._finish_thumbnails()

        job.ended.connect(on_ended)

    def _add_annotations(self, opened: OpenedAnnotations) -> None:
        if self._shown is None:
            return
        self._session.apply(actions.add_annotations, self._shown, opened.layer)
        for remark in opened.remarks:
            self._session.apply(actions.add_notice, remark)

    def _on_ended(self, paths: list[Path]) -> None:
        if self._waiting and self._waiting[0][0] is paths:
            self._waiting.pop(0)
        for path in paths:
            self._session.apply(actions.end_opening, path.name)
        if self._waiting:
            self._start_next()

    def _close_notice(self, key: int) -> None:
        self._session.apply(actions.close_notice, key)


def _open_already(state: SessionState, path: Path) -> Subject | None:
    """Return the subject that shows a path, if it is open."""
    return next((subject for subject in state.subjects if subject.path == path), None)
