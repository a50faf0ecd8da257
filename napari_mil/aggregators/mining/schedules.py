"""Schedules of ratios and momentum in training (MHIM-MIL).

The published code has one cosine for both.
"""

from __future__ import annotations

import math


def cosine(start: float, end: float, step: int, steps: int) -> float:
    """Return the value of a cosine schedule at a step.

    From `start` towards `end`, where it stays after the last of `steps`, counted from 0.
    """
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
