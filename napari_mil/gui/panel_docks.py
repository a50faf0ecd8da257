"""Docks below the canvas, one for each panel, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from qtpy.QtWidgets import QWidget

from napari_mil.gui.model import actions
from napari_mil.gui.model.panels import TITLES, Panel
from napari_mil.gui.model.session import Session, SessionState


class PanelController(Protocol):
    """Connects one panel with the session."""

    panel: Panel

    def make_view(self) -> QWidget:
        """Make the view, connected; called again after its dock was closed."""

    def render(self, state: SessionState) -> None:
        """Show a state; called only while the panel is seen."""

    def forget_view(self) -> None:
        """Let go of the view, which is gone."""


class PanelDocks:
    """Shows panels, and tells the session which of them are seen.

    Parameters
    ----------
    viewer
        The napari viewer whose window gets the docks.
    session
        State that the panels show.
    controllers
        One for each panel that there is.
    """

    def __init__(
        self, viewer: Any, session: Session, controllers: Sequence[PanelController]
    ) -> None:
        self._docks = {
            controller.panel: _PanelDock(viewer, session, controller) for controller in controllers
        }

    @property
    def controllers(self) -> tuple[PanelController, ...]:
        """Controllers of the panels that there are."""
        return tuple(dock.controller for dock in self._docks.values())

    def show(self, panel: Panel) -> None:
        """Bring a panel to the front."""
        self._docks[panel].show()

    def render(self, state: SessionState) -> None:
        """Let the panels that are seen show a state."""
        for panel in state.panels:
            self._docks[panel].controller.render(state)

    def close(self) -> None:
        """Take the docks away."""
        for dock in self._docks.values():
            dock.close()


class _PanelDock:
    """Dock of one panel, made anew after it was closed."""

    def __init__(self, viewer: Any, session: Session, controller: PanelController) -> None:
        self._viewer = viewer
        self._session = session
        self.controller = controller
        self._dock: Any = None

    def show(self) -> None:
        if self._dock is None:
            self._make()
        self._dock.show()
        self._dock.raise_()
        # A new dock is seen before anybody listens.
        self._on_shown(True)

    def close(self) -> None:
        dock = self._dock
        if dock is None:
            return
        self._on_gone()
        # Its window may have gone.
        with suppress(RuntimeError, LookupError):
            dock.visibilityChanged.disconnect(self._on_shown)
            dock.destroyed.disconnect(self._on_gone)
            self._viewer.window.remove_dock_widget(dock)

    def _make(self) -> None:
        self._dock = self._viewer.window.add_dock_widget(
            self.controller.make_view(),
            area="bottom",
            name=TITLES[self.controller.panel],
            tabify=True,
            add_vertical_stretch=False,
        )
        # Also when another dock of the same place comes to the front.
        self._dock.visibilityChanged.connect(self._on_shown)
        self._dock.destroyed.connect(self._on_gone)

    def _on_shown(self, shown: bool) -> None:
        self._session.apply(actions.set_panel_shown, self.controller.panel, shown=shown)

    def _on_gone(self) -> None:
        self._dock = None
        self.controller.forget_view()
        self._session.apply(actions.set_panel_shown, self.controller.panel, shown=False)
