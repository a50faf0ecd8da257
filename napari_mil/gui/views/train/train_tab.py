"""The Train tab: its parts below each other."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_mil.gui.keys import TRAIN_KEYS
from napari_mil.gui.model.snapshots.judging import JudgingSnapshot
from napari_mil.gui.model.snapshots.train import BUSY, TrainSnapshot
from napari_mil.gui.views.dropping import dropped_source
from napari_mil.gui.views.train.adapt_view import AdaptView
from napari_mil.gui.views.train.found_view import FoundView
from napari_mil.gui.views.train.judging_view import JudgingView
from napari_mil.gui.views.train.regions_view import RegionsView
from napari_mil.gui.views.train.result_view import ResultView
from napari_mil.gui.views.train.run_view import RunView
from napari_mil.gui.views.train.setup_view import SetupView
from napari_mil.gui.views.train.watch_view import WatchView
from napari_mil.gui.views.widgets import column, scrolling


class TrainTab(QWidget):
    """Takes a dropped folder; its parts tell everything else."""

    path_dropped = Signal(str)
    """A folder or a table was dropped onto the tab."""

    def __init__(self) -> None:
        super().__init__()
        self.found = FoundView()
        self.setup = SetupView()
        self.adapt = AdaptView()
        self.run = RunView()
        self.watch = WatchView()
        self.regions = RegionsView()
        self.result = ResultView()
        self.judging = JudgingView()
        self._rest = QWidget()
        self._rest.setLayout(
            column(
                self.result,
                self.setup,
                self.adapt,
                self.run,
                self.watch,
                self.regions,
                stretch=False,
                margin=0,
            )
        )
        content = QWidget()
        content.setLayout(column(self.found, self._rest, self.judging))
        self._area = scrolling(content)
        self.setLayout(column(self._area, stretch=False, margin=0))
        self.setAcceptDrops(True)
        self._busy = False
        self._message = ""
        acts = {
            "press": self.run.press,
            "previous_epoch": lambda: self.watch.step(-1),
            "next_epoch": lambda: self.watch.step(1),
        }
        for key in TRAIN_KEYS:
            shortcut = QShortcut(QKeySequence(key.keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(acts[key.name])

    def render(self, snapshot: TrainSnapshot, judging: JudgingSnapshot) -> None:
        """Show snapshots of the training and of its figures."""
        self.judging.render(judging)
        self._busy = snapshot.run.phase.is_busy
        self.found.render(snapshot.found, BUSY if self._busy else "")
        self._rest.setEnabled(not snapshot.found.looking)
        self.setup.render(snapshot.setup)
        self.adapt.render(snapshot.adapt)
        self.run.render(snapshot.run)
        self.watch.render(snapshot.watch)
        self.regions.render(snapshot.regions)
        self.result.render(snapshot.result)
        if snapshot.run.message != self._message:
            self._message = snapshot.run.message
            if self._message and snapshot.run.cautions:
                self._scroll_to_message()

    def _scroll_to_message(self) -> None:
        content = self._area.widget()
        # The fold may have moved everything below it.
        for part in (self._rest.layout(), content.layout()):
            part.activate()
        content.adjustSize()
        self._area.ensureWidgetVisible(self.run.message)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take a folder or a table, unless one is being trained on."""
        if event is not None and dropped_source(event) and not self._busy:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Tell which folder or table it was."""
        if event is not None and (path := dropped_source(event)):
            event.acceptProposedAction()
            self.path_dropped.emit(path)
