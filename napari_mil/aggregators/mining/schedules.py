"""How ratios and momentum change while training (MHIM-MIL; the published code has one cosine for both)."""

from __future__ import annotations

import math


def cosine(start: float, end: float, step: int, steps: int) -> float:
    """Value at a step of `steps`, counted from 0: from `start` towards `end`, where it stays after the last."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
