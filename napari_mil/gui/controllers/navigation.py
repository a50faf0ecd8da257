"""Connects the navigator with the camera."""

from __future__ import annotations

from qtpy.QtCore import QObject, QTimer

from napari_mil.gui.camera import SubjectCamera
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.navigator import navigator_snapshot, point_at
from napari_mil.gui.model.view import zoom_of
from napari_mil.gui.views.slide.navigator import Navigator

AFTER_MOVE_MS = 30
"""The navigator follows the camera this much later, and not with every event of the mouse."""


class NavigationController:
    """Moves the camera as the navigator is dragged, and the rectangle as the camera moves."""

    def __init__(
        self, session: Session, view: Navigator, book: LayerBook, parent: QObject | None = None
    ) -> None:
        self._session = session
        self._view = view
        self._camera: SubjectCamera = book.camera
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER_MOVE_MS)
        self._timer.timeout.connect(self.show)
        view.pointed.connect(self._on_point)
        view.magnification_chosen.connect(self._on_magnification)
        view.fit_requested.connect(self._camera.fit)
        session.changed.connect(self._on_change)
        book.camera.moved.connect(self._on_move)
        book.redrawn.connect(lambda: self.show(anew=True))

    def show(self, anew: bool = False) -> None:
        """Show what is in view now; `anew` where pixels changed in their array."""
        self._view.render(navigator_snapshot(self._session.state, self._camera.view), anew)

    def _on_move(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_change(self, before: SessionState, after: SessionState) -> None:
        if before.current_subject is not after.current_subject:
            self._on_move()

    def _on_point(self, x: float, y: float) -> None:
        subject = self._session.state.current_subject
        if subject is not None:
            self._camera.move_to(point_at(subject, x, y))

    def _on_magnification(self, magnification: float) -> None:
        subject = self._session.state.current_subject
        if subject is not None and subject.placement.mpp is not None:
            self._camera.zoom_to(zoom_of(magnification, subject.placement.mpp))
