"""Scales that a person entered, for one file or for every slide of a scanner."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ScaleScope(StrEnum):
    """Slides that an entered scale is for."""

    FILE = "this file"
    SCANNER = "this scanner"


@dataclass(frozen=True, slots=True)
class EnteredScale:
    """A scale that a person entered some time."""

    mpp: float
    """Micrometres per level-0 pixel."""
    scope: ScaleScope
