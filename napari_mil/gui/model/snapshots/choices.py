"""Choices of a box, as snapshots hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a box."""

    key: Any
    text: str
    reason: str = ""
    """Why it cannot be chosen; empty where it can."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Entries of a box, and which one is chosen."""

    entries: tuple[Choice, ...] = ()
    current: Any = None
    reason: str = ""
    """Why the box cannot be used; empty where it can."""
