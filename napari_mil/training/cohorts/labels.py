"""Labels as people write them: missing ones, spellings, measurements, and which is negative."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MISSING = frozenset(
    (
        *(
            "",
            "-",
            "--",
            "?",
            ".",
            "na",
            "n/a",
            "n.a.",
            "#n/a",
            "nan",
            "nat",
            "none",
            "null",
            "nil",
        ),
        *("unknown", "unk", "missing", "not available", "not reported", "not applicable"),
        *("[not available]", "[not applicable]", "[unknown]", "indeterminate", "not evaluated"),
    )
)
"""Cells, in small letters, that say that something is not known."""
FEWEST_NUMBERS = 5
"""Different numbers from which they may be a measurement."""
MANY_NUMBERS = 7
"""Different numbers from which each needs bags enough to be a class."""
FEWEST_BAGS = 5
"""Bags of each of many numbers, on average, below which they may be a measurement."""
NEGATIVE_WORD = re.compile(
    r"^(0|neg(ative)?|normal|benign|control|healthy|wild[ _-]?type|wt|low|absent|false|no|stable"
    r"|mss|pmmr|msi[-_ ]?l)$",
    re.IGNORECASE,
)
"""Words of negative classes."""
NEGATIVE_FORM = re.compile(
    r"^(no[-_ ].*|not[-_ ].*|non.+|without[-_ ].*|.*[-−])$",
    re.IGNORECASE,
)
"""Forms of names of negative classes."""
NEGATIVE_PREFIXES = ("un", "in", "a")
"""Prefixes that make the negative of the other class: unmethylated, inactive, atypical."""


WORD = re.compile(r"[^\W\d_]+|\d+")
"""A run of letters or of digits."""


def is_missing(cell: str) -> bool:
    """Say whether a cell says that something is not known."""
    return cell.strip().casefold() in MISSING


@dataclass(frozen=True, slots=True)
class Spelling:
    """Spellings that mean one class."""

    label: str
    """The one that is used."""
    others: tuple[str, ...]


def spellings_of(labels: Iterable[str]) -> list[Spelling]:
    """Find labels that differ by case, blanks or a ``.0`` alone.

    The most frequent spelling is used; of equally frequent ones, the first in the alphabet.
    """
    counts = Counter(labels)
    by_key: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        by_key[_key(label)].append(label)
    found = []
    for same in by_key.values():
        first, *others = sorted(same, key=lambda label: (-counts[label], label))
        if others:
            found.append(Spelling(first, tuple(others)))
    return found


def look_like_a_measurement(labels: Sequence[str]) -> bool:
    """Say whether labels are numbers of a scale rather than names of classes.

    At least five different numbers, with fractions or for more than half of the bags; or many
    numbers of few bags each.
    """
    different = set(labels)
    if len(different) < FEWEST_NUMBERS:
        return False
    numbers = [_number(label) for label in different]
    if any(number is None for number in numbers):
        return False
    has_fractions = any(number != int(number) for number in numbers if number is not None)
    is_sparse = len(different) >= MANY_NUMBERS and len(labels) < FEWEST_BAGS * len(different)
    return has_fractions or is_sparse or len(different) > len(labels) / 2


def ordered_classes(names: Iterable[str], *, multi_label: bool) -> tuple[str, ...]:
    """Sort classes; of two, a negative one comes first."""
    ordered = sorted(names)
    if len(ordered) == 2 and not multi_label:
        first, second = ordered
        if is_negative(second, first) and not is_negative(first, second):
            return second, first
    return tuple(ordered)


def is_guessed(classes: Sequence[str], *, multi_label: bool) -> bool:
    """Say whether the alphabet alone decides which of two classes is the positive one."""
    if len(classes) != 2 or multi_label:
        return False
    first, second = classes
    return is_negative(first, second) == is_negative(second, first)


def is_negative(name: str, other: str) -> bool:
    """Say whether a class is the negative one beside another.

    By its name, or by the one word in which it differs: ``ER negative`` of ``ER positive``, ``N0``
    of ``N1``.
    """
    if NEGATIVE_WORD.match(name.strip()) or NEGATIVE_FORM.match(name.strip()):
        return True
    plain = _key(name)
    if any(plain == f"{prefix}{_key(other)}" for prefix in NEGATIVE_PREFIXES):
        return True
    own_words = WORD.findall(plain)
    other_words = WORD.findall(_key(other))
    if len(own_words) != len(other_words):
        return False
    differing = [own for own, word in zip(own_words, other_words, strict=True) if own != word]
    return len(differing) == 1 and bool(NEGATIVE_WORD.match(differing[0]))


def _key(label: str) -> str:
    """Return what spellings of one class have in common."""
    key = " ".join(label.split()).casefold()
    return key.removesuffix(".0") if _number(key) is not None else key


def _number(label: str) -> float | None:
    try:
        # Spreadsheets of some countries write a decimal comma.
        number = float(label.replace(",", ".", 1))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
