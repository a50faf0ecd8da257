"""How ratios and momentum change while training (MHIM-MIL; the published code has one cosine for both)."""

from __future__ import annotations

import math


def cosine(start: float, end: float, step: int, steps: int) -> float:
    """Value at a step of `steps`, counted from 0: from `start` towards `end`, which the step after the last would reach."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * step / steps))
