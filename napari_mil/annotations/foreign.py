"""Telling annotations in a format that is not read from files about something else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

FEWEST_POINTS = 3
"""Positions in a row that are an outline."""
POSITION = frozenset("xy")
"""Keys of a position, casefolded; a box or a scanned field has more than these and their order."""
ORDER = frozenset(("z", "order", "id", "index"))
"""Keys that a position may have too."""


def holds_outlines(document: Any) -> bool:
    """Say whether a JSON document holds a row of positions, ``[x, y]`` or ``{"x": …, "y": …}``."""
    entries: Iterable[Any] = ()
    if isinstance(document, dict):
        entries = document.values()
    elif isinstance(document, list):
        if len(document) >= FEWEST_POINTS and all(map(_is_position, document)):
            return True
        entries = document
    return any(holds_outlines(entry) for entry in entries)


def xml_holds_outlines(root: ElementTree.Element) -> bool:
    """Say whether an XML document holds a row of elements with the attributes x and y."""
    return any(
        sum(_has_position(child) for child in element) >= FEWEST_POINTS for element in root.iter()
    )


def _is_position(entry: Any) -> bool:
    if isinstance(entry, dict):
        return _are_keys(entry)
    return (
        isinstance(entry, list)
        and len(entry) in (2, 3)
        and all(isinstance(value, int | float) for value in entry)
    )


def _has_position(element: ElementTree.Element) -> bool:
    return _are_keys(element.attrib)


def _are_keys(entries: Iterable[Any]) -> bool:
    keys = {str(key).casefold() for key in entries}
    return keys >= POSITION and keys <= POSITION | ORDER
