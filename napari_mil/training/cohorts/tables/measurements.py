"""Columns of labels that hold no classes: measurements, dates, a name for every bag."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from itertools import pairwise

FEWEST_NUMBERS = 5
"""Different numbers from which they may be a measurement."""
FEWEST_FRACTIONS = 4
"""Different fractions from which fewer numbers, in uneven steps, are a measurement too."""
MANY_NUMBERS = 7
"""Different numbers from which each needs bags enough to be a class."""
FEWEST_BAGS = 5
"""Bags of each of many numbers, on average, below which they may be a measurement."""
LARGEST_GRADE = 20
"""Number above which no grading begins."""
WIDEST_STEP = 10
"""Average step between numbers, above which they may be codes rather than ages."""
OLDEST = 120
"""Number above which no age is."""
LONGEST_GRADING = 10
"""Numbers from 0 or 1 on that may be grades."""
YEARS = range(1900, 2100)
"""Numbers that are years where there are several."""
FEWEST_YEARS = 3
"""Different years from which they are no classes."""
FEWEST_CLASSES = 10
"""Classes from which most of them need more than one bag; fewer may be scored on one of each."""
QUANTITY = re.compile(r"[<>≤≥~=]*\s*([+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*(%|[^\W\d_]+)?", re.I)
"""A number, perhaps as a bound (<1), with a unit or without."""
DATE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4})([T ][\d:.]+Z?)?")
"""A date, perhaps with a time."""


class NoClasses(StrEnum):
    """Why a column of labels holds no classes."""

    MEASUREMENT = "numbers of a scale"
    DATES = "dates"
    SINGLE_BAGS = "most of them of a single bag"


def why_no_classes(labels: Sequence[str]) -> NoClasses | None:
    """Return why labels are no classes, or None where they may be.

    Parameters
    ----------
    labels
        Label of each bag.
    """
    if look_like_a_measurement(labels):
        return NoClasses.MEASUREMENT
    if len(set(labels)) > 1 and all(DATE.fullmatch(label) for label in labels):
        return NoClasses.DATES
    counts = Counter(labels)
    n_single = sum(count == 1 for count in counts.values())
    is_sparse = 2 * n_single > len(counts) and len(labels) < 2 * len(counts)
    return NoClasses.SINGLE_BAGS if len(counts) >= FEWEST_CLASSES and is_sparse else None


def look_like_a_measurement(labels: Sequence[str]) -> bool:
    """Say whether labels are numbers of a scale rather than names of classes.

    At least five different numbers, with fractions, for more than half of the bags; many numbers of
    few bags each, or close together as ages are; a few with fractions in uneven steps; several
    years. Numbers that count on from 0 or 1, with two bags each, are none.
    """
    numbers = _numbers(set(labels))
    if numbers is None:
        return False
    n = len(numbers)
    has_fractions = any(number != int(number) for number in numbers)
    follow = sorted(numbers) in (list(range(n)), list(range(1, n + 1)))
    if follow and n <= LONGEST_GRADING and len(labels) >= 2 * n:
        return False  # grades, numbered classes
    if n < FEWEST_NUMBERS:
        if has_fractions:
            return _are_uneven(numbers)
        return n >= FEWEST_YEARS and all(number in YEARS for number in numbers)
    is_sparse = n >= MANY_NUMBERS and len(labels) < FEWEST_BAGS * n
    extent = max(numbers) - min(numbers)
    are_ages = min(numbers) > LARGEST_GRADE and max(numbers) < OLDEST
    # A few numbers that follow on each other are codes, of hospitals for one.
    is_dense = are_ages and extent < WIDEST_STEP * n and (n >= MANY_NUMBERS or extent >= 2 * n)
    return has_fractions or is_sparse or is_dense or n > len(labels) / 2


def _numbers(labels: Collection[str]) -> list[float] | None:
    """Return different labels as numbers of one unit, or None where they are none."""
    matches = [QUANTITY.fullmatch(label.strip()) for label in labels]
    found = [match for match in matches if match is not None]
    # 1a, 1b and 2 are grades; 45 y and 51 are ages.
    if len(found) < len(matches) or len({match[2] for match in found if match[2]}) > 1:
        return None
    # Spreadsheets of some countries write a decimal comma.
    numbers = [float(match[1].replace(",", ".")) for match in found]
    return numbers if all(map(math.isfinite, numbers)) else None


def _are_uneven(numbers: Sequence[float]) -> bool:
    """Say whether numbers have several fractions and lie in uneven steps, unlike grades."""
    ordered = sorted(numbers)
    steps = [after - before for before, after in pairwise(ordered)]
    fractions = {round(number % 1, 6) for number in numbers}
    return len(fractions) >= FEWEST_FRACTIONS and max(steps) - min(steps) > 1e-6
