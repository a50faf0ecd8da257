"""The dock on the right: one tab per step of the work."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import napari.viewer
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QMainWindow,
    QStackedLayout,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_mil.errors import NapariMilError
from napari_mil.gui.controllers.classification import ClassificationController
from napari_mil.gui.controllers.inspection import InspectionController
from napari_mil.gui.controllers.legend import LegendController
from napari_mil.gui.controllers.regions import RegionsController
from napari_mil.gui.controllers.slides import SlidesController
from napari_mil.gui.controllers.training import TrainingController
from napari_mil.gui.jobs import JobRunner
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.reader import slide_layer
from napari_mil.gui.samples import SLIDE, sample_path
from napari_mil.gui.state import WindowState
from napari_mil.gui.views.classify_tab import ClassifyTab
from napari_mil.gui.views.inspect_tab import InspectTab
from napari_mil.gui.views.slide_tab import SlideTab
from napari_mil.gui.views.start_page import StartPage
from napari_mil.gui.views.train_tab import TrainTab
from napari_mil.gui.warm_up import FIRST_CLASSIFICATION, import_beside
from napari_mil.settings import Settings
from napari_mil.slides import SLIDE_EXTENSIONS, open_slide

WIDTH = 380
WARM_UP_AFTER_MS = 300
"""torch takes two seconds to import: in a thread, once the window stands."""
FILE_FILTER = f"Slides ({' '.join(f'*{ending}' for ending in SLIDE_EXTENSIONS)} *.png *.jpg *.jpeg *.bmp);;All files (*)"


class Workbench(QWidget):
    """Composes state, jobs, views and controllers around one viewer.

    Parameters
    ----------
    napari_viewer
        The viewer the dock belongs to.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.setObjectName("napari-mil-workbench")
        self.setMinimumWidth(WIDTH)
        self._viewer = napari_viewer
        self.state = WindowState()
        self.jobs = JobRunner(self)
        self.slide_tab, self.classify_tab, self.inspect_tab, self._start = (
            SlideTab(),
            ClassifyTab(),
            InspectTab(),
            StartPage(),
        )
        self.train_tab = TrainTab()
        settings = replace(
            Settings(), encoder_threads=max(1, (os.cpu_count() or 2) - 1)
        )  # one core stays with the window
        self._last_used = LastUsed(settings)
        book = LayerBook(napari_viewer)
        self.slides = SlidesController(self.state, self.slide_tab, book, self.jobs, self._notify)
        self.classification = ClassificationController(
            self.state,
            self.classify_tab,
            book,
            self.jobs,
            self._notify,
            self._show_notes,
            settings,
            self._last_used,
        )
        self.inspection = InspectionController(
            self.state, self.inspect_tab, book, self.jobs, settings
        )
        self.training = TrainingController(
            self.state,
            self.train_tab,
            book,
            self.jobs,
            self._notify,
            self._show_notes,
            self.open,
            self._use_classifier,
            settings,
        )
        self.regions = RegionsController(self.state, self.train_tab, book, self._notify)
        self.legend = LegendController(book)

        self.tabs = QTabWidget()
        self.tabs.addTab(self.slide_tab, "Slide")
        self.tabs.addTab(self.classify_tab, "Classify")
        self.tabs.addTab(self.inspect_tab, "Inspect")
        self.tabs.addTab(self.train_tab, "Train")
        self.tabs.tabBar().setStyleSheet(
            "QTabBar::tab { min-height: 20px; padding: 3px 14px; }"
        )  # napari's own cuts the text
        # No box layout: napari would add a stretch below it and halve the tabs' height.
        self._pages = QStackedLayout(self)
        self._pages.setContentsMargins(0, 4, 0, 0)
        self._pages.addWidget(self._start)
        self._pages.addWidget(self.tabs)

        self._start.open_requested.connect(self._ask_for_slides)
        self._start.sample_requested.connect(lambda: self.open([sample_path(SLIDE)]))
        self._start.train_requested.connect(self._show_training)
        self.train_tab.folder_requested.connect(self._ask_for_cohort)
        self.train_tab.table_requested.connect(self._ask_for_table)
        self.train_tab.run_requested.connect(self._ask_for_run)
        self.train_tab.out_requested.connect(self._ask_for_out)
        self._training_wanted = False
        self.state.slides_changed.connect(self._choose_page)
        self._choose_page()
        self._closed = False
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shut_down)
        QTimer.singleShot(WARM_UP_AFTER_MS, lambda: import_beside(FIRST_CLASSIFICATION))

    def open(self, paths: list[Path], mpp: float | None = None) -> None:
        """Open slides as layers; one that cannot be opened is said and the others still open."""
        for path in paths:
            try:
                data, arguments, _ = slide_layer(open_slide(path, mpp))
                self._viewer.add_image(data, **arguments)
            except NapariMilError as error:
                show_error(str(error))

    def shut_down(self) -> None:
        """Cancel what runs, wait at most two seconds, and let go of the viewer."""
        if self._closed:
            return
        self._closed = True
        self.jobs.close()
        for controller in (
            self.slides,
            self.classification,
            self.inspection,
            self.training,
            self.legend,
        ):
            controller.disconnect()

    def event(self, event: QEvent | None) -> bool:
        """End everything when napari takes the dock out of its window for good, and the jobs when the window itself goes."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        elif (
            event is not None
            and event.type() == QEvent.Type.Hide
            and isinstance(self.window(), QMainWindow)
            and not self.window().isVisible()
        ):
            self.training.let_go()  # a dock that floats hides for a moment too, and is no main window
            self.jobs.close()
        return bool(super().event(event))

    def _choose_page(self) -> None:
        self._pages.setCurrentWidget(
            self.tabs if self.state.slides or self._training_wanted else self._start
        )

    def _show_training(self) -> None:
        """Training needs no open slide."""
        self._training_wanted = True
        self._choose_page()
        self.tabs.setCurrentWidget(self.train_tab)

    def _use_classifier(self, name: str) -> None:
        self.classification.use(name)
        self.tabs.setCurrentWidget(self.classify_tab)

    def _ask_for_cohort(self) -> None:
        if folder := self._ask_for_folder("annotated", "Annotated folder: one folder per class"):
            self.training.look_at(folder)

    def _ask_for_table(self) -> None:
        before = self._last_used.folder("annotated")
        name, _ = QFileDialog.getOpenFileName(
            self, "Table with the columns slide, label[, patient]", before, "Tables (*.csv *.tsv)"
        )
        if name:
            self._last_used.remember_folder("annotated", Path(name).parent)
            self.training.look_at(Path(name))

    def _ask_for_run(self) -> None:
        if folder := self._ask_for_folder("run", "Folder of an earlier run"):
            self.training.open_run(folder)

    def _ask_for_out(self) -> None:
        if folder := self._ask_for_folder("run", "Folder for the run"):
            self.training.choose_out(folder)

    def _ask_for_folder(self, dialog: str, title: str) -> Path | None:
        """Ask, beginning where such a dialog ended last."""
        name = QFileDialog.getExistingDirectory(self, title, self._last_used.folder(dialog))
        if not name:
            return None
        self._last_used.remember_folder(dialog, Path(name))
        return Path(name)

    def _notify(self, sentence: str) -> None:
        show_error(sentence)

    def _ask_for_slides(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(
            self, "Open slides", self._last_used.folder("slides"), FILE_FILTER
        )
        if names:
            self._last_used.remember_folder("slides", Path(names[0]).parent)
        self.open([Path(name) for name in names])

    def _show_notes(self, title: str, text: str) -> None:
        dialog = QDialog(self)
        dialog.setWindowTitle(title)
        dialog.resize(720, 600)
        browser = QTextBrowser()
        browser.setMarkdown(text)
        QVBoxLayout(dialog).addWidget(browser)
        dialog.show()
