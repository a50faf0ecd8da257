"""Keeps shapes that a person drew as regions of a class, beside their slide."""

from __future__ import annotations

from typing import Any

from napari_mil.annotations import DRAWN, Annotations, read_annotations, write_geojson
from napari_mil.errors import NapariMilError
from napari_mil.gui.drawn_regions import regions_of_shapes
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.views.train.regions_view import RegionsView
from napari_mil.slides import Slide


class RegionsController:
    """Speaks of the shown slide and the chosen shapes layer."""

    def __init__(self, session: Session, view: RegionsView, book: LayerBook) -> None:
        self._session = session
        self._book = book
        view.class_chosen.connect(
            lambda name: self._session.train(actions.choose_region_class, name)
        )
        view.keep_requested.connect(self.keep)

    def keep(self) -> None:
        """Write the shapes of the chosen layer as regions of the chosen class.

        They go beside the shown slide; what that layer held before is replaced.
        """
        name = self._session.state.training.region_class
        subject = self._session.state.current_subject
        layer = self._book.chosen_shapes()
        if subject is None or subject.slide is None or layer is None:
            self._refuse(
                "Choose the shapes layer to keep in the layer list, over an open slide; "
                "add one by the button above the list."
            )
            return
        try:
            n = keep_shapes(layer, subject.slide, name)
        except NapariMilError as error:
            self._refuse(str(error))
            return
        file = subject.path.with_name(f"{subject.path.stem}{DRAWN}")
        message = (
            f"{n} regions of the layer {layer.name} kept as {name} in {file.name}. "
            "Choose the folder again to train with them."
        )
        self._session.train(actions.say, message, cautions=False)

    def _refuse(self, text: str) -> None:
        self._session.apply(session_actions.add_notice, text)


def keep_shapes(layer: Any, slide: Slide, name: str) -> int:
    """Write the shapes of a layer beside a slide as regions of a class; return their number.

    Raises
    ------
    NapariMilError
        If no shape has an area, or the file cannot be read or written.
    """
    target = slide.path.with_name(f"{slide.path.stem}{DRAWN}")
    earlier = read_annotations(target).regions if target.is_file() else ()
    drawn = regions_of_shapes(layer, slide, name)
    others = [region for region in earlier if region.drawn_in != layer.name]
    if not drawn and len(others) == len(earlier):
        raise NapariMilError(
            f"No shape in {layer.name} has an area (points and lines have none); "
            "draw rectangles, ellipses or polygons."
        )
    left, top = slide.origin
    moved = Annotations(tuple(drawn)).moved(-left, -top)
    write_geojson([*others, *moved.regions], target)
    return len(drawn)
