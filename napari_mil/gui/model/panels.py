"""Panels below the canvas: wide views of the shown answer, closed until asked for."""

from __future__ import annotations

from enum import StrEnum


class Panel(StrEnum):
    """Panel below the canvas."""

    GALLERY = "gallery"
    TREE = "tree"
    EMBEDDING = "embedding"
    COMPARE = "compare"


TITLES = {
    Panel.GALLERY: "Gallery",
    Panel.TREE: "Tree",
    Panel.EMBEDDING: "Embedding",
    Panel.COMPARE: "Compare",
}
"""Names of the panels, on their docks and on the buttons that open them."""
TOOLTIPS = {
    Panel.GALLERY: "Highest, lowest and nearest instances as pictures",
    Panel.TREE: "Which instances are alike, as a tree that can be cut",
    Panel.EMBEDDING: "Features of all instances in two dimensions",
    Panel.COMPARE: "Two answers about the same bag",
}
