"""The dock on the right: one tab per step of the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari.viewer
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QMainWindow,
    QStackedWidget,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_mil.gui.controllers.classification import ClassificationController
from napari_mil.gui.controllers.compare import CompareController
from napari_mil.gui.controllers.embedding import EmbeddingController
from napari_mil.gui.controllers.exporting import ExportController
from napari_mil.gui.controllers.gallery import GalleryController
from napari_mil.gui.controllers.inspection import InspectionController
from napari_mil.gui.controllers.navigation import NavigationController
from napari_mil.gui.controllers.opening import OpeningController
from napari_mil.gui.controllers.rendition import RenditionController
from napari_mil.gui.controllers.scales import ScaleController
from napari_mil.gui.controllers.subjects import SubjectsController
from napari_mil.gui.controllers.train.adapt import AdaptController
from napari_mil.gui.controllers.train.check import CheckController
from napari_mil.gui.controllers.train.judging import JudgingController
from napari_mil.gui.controllers.train.regions import RegionsController
from napari_mil.gui.controllers.train.result import ResultController
from napari_mil.gui.controllers.train.run import RunController
from napari_mil.gui.controllers.train.setup import SetupController, free_folder
from napari_mil.gui.controllers.train.watch import WatchController
from napari_mil.gui.controllers.tree import TreeController
from napari_mil.gui.controllers.worklist import WorklistController
from napari_mil.gui.dialogs import Dialogs
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.keys import bind_keys
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.layer_list import LayerList
from napari_mil.gui.model import actions
from napari_mil.gui.model import training as training_actions
from napari_mil.gui.model import worklist as worklist_actions
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.recognition import PathKind
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.classify import classify_snapshot
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from napari_mil.gui.model.snapshots.judging import judging_snapshot
from napari_mil.gui.model.snapshots.slide import slide_snapshot
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.snapshots.window import window_snapshot
from napari_mil.gui.model.snapshots.worklist import worklist_snapshot
from napari_mil.gui.panel_docks import PanelDocks
from napari_mil.gui.read_ahead import ReadAhead
from napari_mil.gui.samples import CASE, SLIDE, sample_path
from napari_mil.gui.views.classify_tab import ClassifyTab
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.gui.views.notice_board import NoticeBoard
from napari_mil.gui.views.slide.properties_dialog import PropertiesDialog
from napari_mil.gui.views.slide.slide_tab import SlideTab
from napari_mil.gui.views.start_page import StartPage
from napari_mil.gui.views.train.train_tab import TrainTab
from napari_mil.gui.views.worklist_tab import WorklistTab
from napari_mil.gui.warm_up import FIRST_CLASSIFICATION, import_beside
from napari_mil.settings import Settings

WIDTH = 380
WARM_UP_AFTER_MS = 300
"""torch takes two seconds to import: in a thread, once the window stands."""


class Workbench(QWidget):
    """Composes session, jobs, views and controllers around one viewer.

    Parameters
    ----------
    napari_viewer
        The viewer the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("napari-mil-workbench")
        self.setMinimumWidth(WIDTH)
        self.setAcceptDrops(True)
        self.session = Session()
        self.jobs = JobRunner(self, together=self.session.together)
        # One core stays with the window.
        settings = replace(Settings(), encoder_threads=max(1, (os.cpu_count() or 2) - 1))
        self._last_used = LastUsed(settings)
        self._dialogs = Dialogs(self, self._last_used)
        self.book = LayerBook(
            napari_viewer, lambda world: hover_words(self.session.state, world), parent=self
        )
        self._layer_list = LayerList(self, napari_viewer.layers)
        self.book.put_away.connect(self._layer_list.list_all_but)
        self._make_views()
        self._make_controllers(napari_viewer, settings)
        self._connect_dialogs()
        self.session.changed.connect(self._render)
        self._render(self.session.state, self.session.state)
        self.shortcuts = bind_keys(self, self._acts())
        self._closed = False
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        QTimer.singleShot(WARM_UP_AFTER_MS, lambda: import_beside(FIRST_CLASSIFICATION))

    def _make_views(self) -> None:
        self.start_page = StartPage()
        self.notices = NoticeBoard()
        self.slide_tab = SlideTab()
        self.classify_tab = ClassifyTab()
        self.inspect_tab = InspectTab()
        self.train_tab = TrainTab()
        self.worklist_tab = WorklistTab()
        self.tabs = QTabWidget()
        for tab, name in (
            (self.slide_tab, "Slide"),
            (self.classify_tab, "Classify"),
            (self.inspect_tab, "Inspect"),
            (self.train_tab, "Train"),
            (self.worklist_tab, "Worklist"),
        ):
            self.tabs.addTab(tab, name)
        # napari's own style cuts the text.
        self.tabs.tabBar().setStyleSheet("QTabBar::tab { min-height: 20px; padding: 3px 14px; }")
        self._pages = QStackedWidget()
        self._pages.addWidget(self.start_page)
        self._pages.addWidget(self.tabs)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.notices)
        layout.addWidget(self._pages, 1)

    def _make_controllers(self, viewer: Any, settings: Settings) -> None:
        session = self.session
        jobs = self.jobs
        self.subjects = SubjectsController(session, self.slide_tab, self.book, jobs)
        self.scales = ScaleController(session, self.slide_tab.scale, settings)
        self.read_ahead = ReadAhead(self.book, parent=self)
        self.navigation = NavigationController(
            session, self.slide_tab.navigator, self.book, parent=self
        )
        self.opening = OpeningController(
            session,
            self.notices,
            jobs,
            settings,
            take_training=self._take_training,
            take_worklist=lambda path: self.worklist.open(path),
            show_classify=lambda: self.tabs.setCurrentWidget(self.classify_tab),
        )
        self.rendition = RenditionController(session, self.slide_tab, jobs, self.opening.report)
        self.classification = ClassificationController(
            session,
            self.classify_tab,
            self.book,
            jobs,
            self._show_notes,
            settings,
            self._last_used,
        )
        self.inspection = InspectionController(
            session,
            self.inspect_tab,
            self.book,
            jobs,
            settings,
            show_inspect=lambda: self.tabs.setCurrentWidget(self.inspect_tab),
        )
        self.setup = SetupController(session, self.train_tab, jobs, settings, self._show_notes)
        self.check = CheckController(session, self.train_tab.setup, jobs, settings)
        self.run = RunController(
            session,
            self.train_tab,
            jobs,
            settings,
            free_folder,
            self.classification.list_classifiers,
        )
        self.adapt = AdaptController(session, self.train_tab.adapt, jobs, settings)
        self.watch = WatchController(session, self.train_tab, viewer, self.open)
        self.result = ResultController(
            session,
            self.train_tab.result,
            jobs,
            settings,
            open_paths=self.open,
            show_notes=self._show_notes,
            show_classifier=self._show_classifier,
        )
        self.judging = JudgingController(session, self.train_tab.judging, jobs, settings, self.open)
        self.regions = RegionsController(session, self.train_tab.regions, self.book)
        self._make_worklist(settings)
        self._make_exporting()
        self._make_panels(viewer)

    def _make_panels(self, viewer: Any) -> None:
        self.gallery = GalleryController(
            self.session, self.jobs, self.inspection.go_to, self._dialogs.ask_for_gallery
        )
        self.tree = TreeController(
            self.session, self.jobs, self.inspection.show_selected, parent=self
        )
        self.compare = CompareController(self.session, self.jobs, self.book, parent=self)
        self.embedding = EmbeddingController(self.session, self.jobs, self.inspection.go_to)
        panels = (self.gallery, self.tree, self.embedding, self.compare)
        self.panels = PanelDocks(viewer, self.session, panels)
        self.inspect_tab.panel_requested.connect(self.panels.show)

    def _make_worklist(self, settings: Settings) -> None:
        self.worklist = WorklistController(
            self.session, self.worklist_tab, self.jobs, settings, self.open, self.show_worklist
        )

    def _make_exporting(self) -> None:
        self.exporting = ExportController(
            self.session,
            (self.classify_tab.card.export_line, self.inspect_tab.export_line),
            self.jobs,
            self._last_used,
            self._dialogs.ask_for_export,
        )

    def _connect_dialogs(self) -> None:
        dialogs = self._dialogs
        start = self.start_page
        start.slides_requested.connect(lambda: self.open(dialogs.ask_for_files()))
        start.images_requested.connect(lambda: self.open(dialogs.ask_for_images()))
        start.sample_slide_requested.connect(lambda: self.open([sample_path(SLIDE)]))
        start.sample_case_requested.connect(lambda: self.open([sample_path(CASE)]))
        start.train_requested.connect(self.show_training)
        start.worklist_requested.connect(self.show_worklist)
        self.slide_tab.open_requested.connect(lambda: self.open(dialogs.ask_for_files()))
        self.slide_tab.folder_requested.connect(lambda: self.open(dialogs.ask_for_images()))
        self.slide_tab.properties_requested.connect(self._show_properties)
        self.classify_tab.open_requested.connect(lambda: self.open(dialogs.ask_for_files()))
        found = self.train_tab.found
        found.folder_requested.connect(
            lambda: _with_path(dialogs.ask_for_cohort(), self.setup.look_at)
        )
        found.table_requested.connect(
            lambda: _with_path(dialogs.ask_for_table(), self.setup.look_at)
        )
        found.run_requested.connect(lambda: _with_path(dialogs.ask_for_run(), self.setup.open_run))
        self.train_tab.judging.score_requested.connect(
            lambda: _with_path(dialogs.ask_for_cohort(), self.judging.score)
        )
        self.train_tab.setup.out_requested.connect(
            lambda: _with_path(dialogs.ask_for_out(), self.setup.choose_out)
        )
        listing = self.worklist_tab
        listing.folder_requested.connect(
            lambda: _with_path(dialogs.ask_for_worklist_folder(), self.worklist.open)
        )
        listing.table_requested.connect(
            lambda: _with_path(dialogs.ask_for_slide_table(), self.worklist.open)
        )
        listing.out_requested.connect(
            lambda: _with_path(dialogs.ask_for_results(), self.worklist.choose_out)
        )
        listing.slides_folder_requested.connect(
            lambda: _with_path(dialogs.ask_for_slides_folder(), self.worklist.locate)
        )

    def _acts(self) -> dict[str, Any]:
        """Return what the keys do, by name."""
        apply = self.session.apply
        acts = {
            "classify": self.classification.classify,
            "cancel": self.classification.cancel,
            "toggle_overlay": lambda: apply(actions.toggle_overlay),
            "next_class": lambda: apply(actions.step_name, 1),
            "next_instance": lambda: self.inspection.step(1),
            "previous_instance": lambda: self.inspection.step(-1),
            "clear_selection": lambda: apply(actions.clear_selection),
            "next_subject": lambda: apply(actions.step_subject, 1),
            "previous_subject": lambda: apply(actions.step_subject, -1),
            "slide_tab": lambda: self.show_tab(self.slide_tab),
            "classify_tab": lambda: self.show_tab(self.classify_tab),
            "inspect_tab": lambda: self.show_tab(self.inspect_tab),
            "train_tab": lambda: self.show_tab(self.train_tab),
            "worklist_tab": lambda: self.show_tab(self.worklist_tab),
        }
        self.book.set_acts(acts)
        return acts

    @property
    def busy(self) -> bool:
        """Whether jobs run, or layers are still to be added."""
        return self.jobs.busy or self.book.busy

    def open(self, paths: Sequence[Path], mpp: float | None = None) -> None:
        """Open whatever paths are; what cannot be opened is said and the others still open."""
        if paths:
            self.opening.open([Path(path) for path in paths], mpp)

    def show_tab(self, tab: QWidget) -> None:
        """Bring a tab to the front."""
        self.tabs.setCurrentWidget(tab)

    def show_training(self) -> None:
        """Show the Train tab, which needs nothing open."""
        self.session.train(training_actions.want)
        self.tabs.setCurrentWidget(self.train_tab)

    def show_worklist(self) -> None:
        """Show the Worklist tab, which needs nothing open."""
        self.session.change_listing(worklist_actions.want)
        self.tabs.setCurrentWidget(self.worklist_tab)

    def shut_down(self) -> None:
        """Cancel what runs, wait for a moment, and let go of the viewer."""
        if self._closed:
            return
        self._closed = True
        self.run.let_go()
        self.adapt.let_go()
        self.jobs.close()
        self.worklist.save_now()
        self.session.changed.disconnect(self._render)
        self.read_ahead.close()
        self.book.disconnect()
        self.watch.close()
        self.panels.close()

    def event(self, event: QEvent | None) -> bool:
        """End everything when the dock leaves its window, or the window goes."""
        if event is None:
            return bool(super().event(event))
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        elif event.type() == QEvent.Type.Hide:
            # A dock that floats hides for a moment too, and is no main window.
            window = self.window()
            if isinstance(window, QMainWindow) and not window.isVisible():
                self.shut_down()
        return bool(super().event(event))

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take files and folders."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what is dropped."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None:
            event.acceptProposedAction()
            self.open([Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()])

    def _render(self, before: SessionState, after: SessionState) -> None:
        """Show the state: the one place where views and layers follow it."""
        window = window_snapshot(after)
        self.notices.render(window.notices, window.busy)
        page = self.tabs if window.shows_tabs else self.start_page
        if self._pages.currentWidget() is not page:
            self._pages.setCurrentWidget(page)
        self.slide_tab.render(slide_snapshot(after))
        self.classify_tab.render(classify_snapshot(after))
        self.inspect_tab.render(inspect_snapshot(after))
        self.train_tab.render(train_snapshot(after), judging_snapshot(after))
        self.worklist_tab.render(worklist_snapshot(after))
        self.exporting.render()
        self.panels.render(after)
        self.classification.stop_without_subject()
        self.book.reconcile(scene(after))

    def _take_training(self, path: Path, kind: PathKind) -> None:
        self.show_training()
        if kind is PathKind.RUN:
            self.setup.open_run(path)
        elif kind is PathKind.FIGURES:
            self.judging.show(path, None)
        else:
            self.setup.look_at(path)

    def _show_classifier(self, name: str) -> None:
        self.classification.list_classifiers()
        self.session.apply(actions.choose_classifier, name)
        self.tabs.setCurrentWidget(self.classify_tab)

    def _show_properties(self) -> None:
        subject = self.session.state.current_subject
        slide = None if subject is None else subject.slide
        if subject is None or slide is None:
            return
        pictures = slide.associated_images
        PropertiesDialog(
            self, subject.name, slide.properties, list(pictures), lambda name: pictures[name]
        ).show()

    def _show_notes(self, title: str, text: str) -> None:
        dialog = QDialog(self)
        dialog.setWindowTitle(title)
        dialog.resize(720, 600)
        browser = QTextBrowser()
        browser.setMarkdown(text)
        QVBoxLayout(dialog).addWidget(browser)
        dialog.show()


def _with_path(path: Path | None, act: Any) -> None:
    if path is not None:
        act(path)
