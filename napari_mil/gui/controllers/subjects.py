"""Connects the Slide tab and the viewer's layers with the subjects that are open."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mil.bags import TissueMask, tissue_mask
from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions, comparing
from napari_mil.gui.model.comparing import CompareView
from napari_mil.gui.model.display import Role
from napari_mil.gui.model.layer_specs import LayerSpec
from napari_mil.gui.model.placement import Placement
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.subjects import Pixels, Place, Subject, SubjectKind, stored_place
from napari_mil.gui.reader import SLIDE_KEY
from napari_mil.gui.views.slide.slide_tab import SlideTab
from napari_mil.slides import Slide

TISSUE_JOB = "tissue"
OVERVIEW_JOB = "overview"


class SubjectsController:
    """Chooses, rescales and closes subjects; finds and keeps their tissue."""

    def __init__(self, session: Session, view: SlideTab, book: LayerBook, jobs: JobRunner) -> None:
        self._session = session
        self._book = book
        self._jobs = jobs
        view.subject_chosen.connect(self._choose)
        view.close_requested.connect(self._close_current)
        view.tissue_requested.connect(self.detect_tissue)
        view.instance_chosen.connect(self._on_instance)
        book.subject_closed.connect(lambda key: self._close(int(key)))
        book.subject_renamed.connect(self._on_renamed)
        book.subject_shown.connect(lambda key: self._choose(int(key)))
        book.layer_removed.connect(self._on_layer_removed)
        book.tissue_painted.connect(self._on_painted)
        book.slide_layer_added.connect(self._adopt)
        book.look_changed.connect(lambda role, look: session.apply(actions.set_look, role, look))
        book.camera.set_place(self._place)
        session.changed.connect(self._make_overviews)
        session.changed.connect(self._close_what_is_gone)
        for layer in book.slide_layers():
            self._adopt(layer)

    def detect_tissue(self) -> None:
        """Find the tissue of the shown slide."""
        subject = self._session.state.current_subject
        if subject is None or subject.kind is not SubjectKind.SLIDE or subject.slide is None:
            return
        key = subject.key
        slide = subject.slide

        def work(tell: Tell, cancel: CancellationToken) -> TissueMask:
            return tissue_mask(slide, cancel)

        self._session.apply(actions.start_detecting, key)
        job = self._jobs.start(TISSUE_JOB, work)
        job.succeeded.connect(
            lambda mask: self._session.apply(actions.set_tissue, key, mask, painted=False)
        )
        job.failed.connect(
            lambda text, details: self._session.apply(actions.add_notice, text, details)
        )
        job.ended.connect(lambda: self._session.apply(actions.end_detecting, key))

    def _choose(self, key: int) -> None:
        self._session.apply(actions.choose_subject, key)

    def _close(self, key: int) -> None:
        self._session.apply(actions.close_subject, key)

    def _close_current(self) -> None:
        if self._session.state.current is not None:
            self._close(self._session.state.current)

    def _on_renamed(self, key: str, name: str) -> None:
        self._session.apply(actions.rename_subject, int(key), name)

    def _on_instance(self, instance: int) -> None:
        self._session.apply(actions.select, (instance,))
        subject = self._session.state.current_subject
        if subject is not None and subject.layout is not None:
            centre = subject.placement.centres(subject.layout, np.array([instance]))[0]
            self._book.camera.look_at((float(centre[0]), float(centre[1])))

    def _on_painted(self, mask: np.ndarray) -> None:
        subject = self._session.state.current_subject
        if subject is None or subject.tissue is None:
            return
        painted = TissueMask(mask, subject.tissue.mask.downsample)
        self._session.apply(actions.set_tissue, subject.key, painted, painted=True)

    def _on_layer_removed(self, spec: LayerSpec) -> None:
        """Take a removed layer for what it means; nothing comes back against the user's will."""
        key = self._session.state.current
        if key is None:
            return
        if spec.role is Role.TISSUE:
            self._session.apply(actions.remove_tissue, key)
        elif spec.role is Role.ANNOTATIONS:
            self._session.apply(actions.remove_annotations, key, spec.key[1])
        elif spec.role is Role.SELECTION:
            self._session.apply(actions.clear_selection)
        elif spec.role is Role.CURTAIN:
            self._session.compare(comparing.choose_view, CompareView.SHOWN)
        else:
            self._session.apply(actions.hide_overlay)

    def _adopt(self, layer: Any) -> None:
        """Take a slide that another reader opened."""
        slide: Slide = layer.metadata[SLIDE_KEY]
        key = self._session.state.next_key
        subject = Subject(
            key=key,
            name=layer.name,
            kind=SubjectKind.SLIDE,
            path=slide.path,
            pixels=Pixels(layer.data, multiscale=layer.multiscale),
            slide=slide,
            remarks=tuple(finding.text for finding in slide.warnings),
        )
        self._book.adopt(("subject", str(key)), layer)
        self._session.apply(actions.add_subject, subject)

    def _place(self, key: int) -> tuple[Place, Placement] | None:
        subject = self._session.state.subject(key)
        return None if subject is None else (stored_place(subject), subject.placement)

    def _make_overviews(self, before: SessionState, after: SessionState) -> None:
        """Average new slides that have no coarse level, beside everything else."""
        known = {subject.key for subject in before.subjects}
        for subject in after.subjects:
            slide = subject.slide
            if subject.key not in known and slide is not None and slide.lacks_overview:
                self._make_overview(subject.key, slide)

    def _make_overview(self, key: int, slide: Slide) -> None:
        def work(tell: Tell, cancel: CancellationToken) -> np.ndarray | None:
            # Asked here: the fingerprint reads the file, which must not hold up the window.
            if slide.has_stored_overview:
                return None
            slide.overview(cancel)
            return np.asarray(slide.levels[-1])

        job = self._jobs.start(f"{OVERVIEW_JOB} {key}", work)
        job.succeeded.connect(
            lambda coarsest: None if coarsest is None else self._book.redraw(key, coarsest)
        )

    def _close_what_is_gone(self, before: SessionState, after: SessionState) -> None:
        """Close slides that no subject has any more."""
        used = {id(slide) for subject in after.subjects for slide in _slides_of(subject)}
        for subject in before.subjects:
            for slide in _slides_of(subject):
                if id(slide) not in used:
                    slide.close()


def _slides_of(subject: Subject) -> list[Slide]:
    """Return what is open for a subject: its slide, and the twin that is shown."""
    slides = (subject.slide, subject.pixels.slide)
    return [slide for slide in slides if slide is not None]
