"""Choices of the comparison of two answers, and its figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from napari_mil.annotations import Region
from napari_mil.exports.maps import ScaleMode

if TYPE_CHECKING:
    from napari_mil.gui.model.compared import Figures

EVERY_CLASS = ""
"""Reference that is every annotated region, of whatever class."""


class CompareView(StrEnum):
    """What the canvas shows of two answers."""

    SHOWN = "shown"
    """The shown answer alone."""
    DIFFERENCE = "difference"
    CURTAIN = "curtain"
    """The shown answer on the left of a line, the other one on its right."""


@dataclass(frozen=True, eq=False)
class DrawnRegions:
    """Shapes of a layer, as they were when they were read."""

    subject: int
    """Key of the subject that they lie on."""
    layer: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class Comparing:
    """What is compared with the shown answer, and how."""

    other: str = ""
    """Classifier whose answer is compared; one that has none takes the newest other answer."""
    column: str = ""
    """Column of the other answer; one that it has not takes what is like the shown one."""
    view: CompareView = CompareView.SHOWN
    scale: ScaleMode | None = None
    """Scale of the difference; None takes values where both are of one kind with limits."""
    curtain: float = 0.5
    """Place of the line, as a share of the width of the map."""
    reference: str = EVERY_CLASS
    """Class of the annotated regions that maps are compared with."""
    drawn: DrawnRegions | None = None
    figures: Figures | None = None
    """Newest figures; they hold for the question that they answer."""


def choose_other(comparing: Comparing, name: str) -> Comparing:
    """Choose the answer that is compared."""
    return replace(comparing, other=name, column="")


def choose_column(comparing: Comparing, key: str) -> Comparing:
    """Choose the map of the other answer."""
    return replace(comparing, column=key)


def choose_view(comparing: Comparing, view: CompareView) -> Comparing:
    """Choose what the canvas shows."""
    return replace(comparing, view=view)


def choose_scale(comparing: Comparing, scale: ScaleMode) -> Comparing:
    """Choose whether values or ranks are subtracted."""
    return replace(comparing, scale=scale)


def move_curtain(comparing: Comparing, place: float) -> Comparing:
    """Move the line, within the map."""
    place = min(max(place, 0.0), 1.0)
    return comparing if place == comparing.curtain else replace(comparing, curtain=place)


def choose_reference(comparing: Comparing, name: str) -> Comparing:
    """Choose the class of regions that maps are compared with."""
    return replace(comparing, reference=name)


def take_drawn(comparing: Comparing, drawn: DrawnRegions) -> Comparing:
    """Take the shapes of a layer as regions beside those of files; they are what is asked for."""
    return replace(comparing, drawn=drawn, reference=drawn.layer)


def forget_subject(comparing: Comparing, key: int) -> Comparing:
    """Let go of what belongs to a subject that is closed."""
    drawn = comparing.drawn
    is_gone = drawn is not None and drawn.subject == key
    return replace(comparing, figures=None, drawn=None if is_gone else drawn)


def set_figures(comparing: Comparing, figures: Figures) -> Comparing:
    """Keep what was computed."""
    return replace(comparing, figures=figures)
