"""Connects the card of the scale with the slide that is shown."""

from __future__ import annotations

from napari_mil.errors import NapariMilError
from napari_mil.gui.model import actions
from napari_mil.gui.model.scales import ScaleScope
from napari_mil.gui.model.session import Session
from napari_mil.gui.remembered_scales import RememberedScales
from napari_mil.gui.views.slide.scale_card import ScaleCard
from napari_mil.settings import Settings


class ScaleController:
    """Gives slides the scale that a person enters, and remembers it."""

    def __init__(self, session: Session, view: ScaleCard, settings: Settings) -> None:
        self._session = session
        self._scales = RememberedScales(settings)
        view.mpp_entered.connect(self._on_mpp)
        view.own_scale_requested.connect(lambda: self._on_mpp(None, None))

    def _on_mpp(self, mpp: float | None, scope: ScaleScope | None) -> None:
        """Give the shown slide a scale; None is the file's own."""
        subject = self._session.state.current_subject
        if subject is None or subject.slide is None:
            return
        try:
            slide = subject.slide.with_mpp(mpp)
        except NapariMilError as error:
            self._session.apply(actions.add_notice, str(error))
            return
        self._session.apply(actions.set_slide, subject.key, slide, scope)
        try:
            if mpp is None or scope is None:
                self._scales.forget(slide)
            else:
                self._scales.remember(slide, mpp, scope)
        except NapariMilError as error:
            self._session.apply(actions.add_notice, str(error))
