"""The watched bag and the curves of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer

from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.train import HistorySnapshot, history_snapshot
from napari_mil.gui.model.training import Watch
from napari_mil.gui.views.train.train_tab import TrainTab

DRAW_MS = 300
"""Epochs of small bags end faster than anybody looks."""
CURVES = "napari_mil.gui.views.curves"
"""Brings pyqtgraph, which loads once there is a cohort."""


class WatchController:
    """Opens the watched bag, shows its epochs, and draws the curves below the canvas."""

    def __init__(
        self,
        session: Session,
        view: TrainTab,
        viewer: Any,
        open_paths: Callable[[Sequence[Path]], None],
    ) -> None:
        self._session = session
        self._viewer = viewer
        self._open_paths = open_paths
        self._curves: Any = None
        self._dock: Any = None
        self._drawn: HistorySnapshot | None = None
        self._replayed: Path | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self._draw)
        view.watch.bag_chosen.connect(self._on_bag)
        view.watch.epoch_chosen.connect(self.show_epoch)
        view.run.curves_requested.connect(self.toggle)
        session.changed.connect(self._on_changed)

    def show_epoch(self, epoch: int) -> None:
        """Show an epoch on the watched slide and in the curves."""
        self._session.train(actions.show_epoch, epoch)
        watch = self._session.state.training.watch
        if watch is not None:
            self._open_replayed(watch)
            self._session.apply(session_actions.show_training)

    def _open_replayed(self, watch: Watch) -> None:
        """Open the slide of an earlier run once, when its first epoch is asked for."""
        if self._session.state.training.phase.is_busy or self._replayed == watch.path:
            return
        self._replayed = watch.path
        if all(subject.path != watch.path for subject in self._session.state.subjects):
            self._open_paths([watch.path])

    def toggle(self) -> None:
        """Show or hide the curves."""
        self._make()
        self._draw()
        self._dock.setVisible(not self._dock.isVisible())

    def stop(self) -> None:
        """Draw nothing any more."""
        self._timer.stop()

    def close(self) -> None:
        """Take the dock away."""
        self.stop()
        if self._dock is not None:
            # Its window may have gone.
            with suppress(RuntimeError, LookupError):
                self._viewer.window.remove_dock_widget(self._dock)

    def _on_bag(self, path: str) -> None:
        """Watch a bag; it is opened, so that it is there before training begins."""
        self._session.train(actions.choose_watched, path)
        if path:
            self._open_paths([Path(path)])

    def _on_changed(self, before: SessionState, after: SessionState) -> None:
        if before.training is after.training:
            return
        if before.training.cohort is not after.training.cohort:
            # Making the curves takes a tenth of a second, which is free while nothing runs.
            self._make()
            self._dock.hide()
        begins = after.training.phase.is_busy and not before.training.phase.is_busy
        if begins:
            self._on_begin(after)
        if history_snapshot(after) != self._drawn and not self._timer.isActive():
            self._timer.start()

    def _on_begin(self, state: SessionState) -> None:
        """Show the curves, and the watched bag if it was closed since it was chosen."""
        if self._dock is not None:
            self._dock.show()
        watch = state.training.watch
        if watch is not None and all(subject.path != watch.path for subject in state.subjects):
            self._open_paths([watch.path])

    def _draw(self) -> None:
        snapshot = history_snapshot(self._session.state)
        if self._curves is not None and snapshot != self._drawn:
            self._drawn = snapshot
            self._curves.render(snapshot)

    def _make(self) -> None:
        """Have the dock, not shown yet, if it is not there."""
        if self._curves is not None:
            return
        self._curves = import_module(CURVES).Curves()
        self._curves.epoch_chosen.connect(self.show_epoch)
        self._dock = self._viewer.window.add_dock_widget(
            self._curves, area="bottom", name="Training curves"
        )
        self._dock.destroyed.connect(self._on_gone)
        self._dock.hide()

    def _on_gone(self) -> None:
        self._curves = None
        self._dock = None
        self._drawn = None
