"""Labels as people write them: which are missing, and which of two is the negative one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from napari_mil.training.cohorts.spellings import key_of, plain_characters

MISSING = frozenset(
    (
        *("", "-", "--", "?", ".", "na", "n/a", "n.a.", "n.d.", "n.k.", "nan", "-nan"),
        *("<na>", "#na", "#n/a", "#n/a n/a", "#nv", "none", "null", "nil"),
        *("unknown", "unk", "missing", "not available", "not reported", "not applicable"),
        *("[not available]", "[not applicable]", "[unknown]", "indeterminate", "not evaluated"),
    )
)
"""Cells, in small letters, that say that something is not known."""
NO_TIME = "NaT"
"""Missing date of pandas; in capitals it is normal adjacent tissue."""
SPREADSHEET_ERROR = re.compile(r"#[^\W_][^\s#]*[!?]")
"""What a spreadsheet writes where a formula failed, in any language: #VALUE!, #REF!, #NAME?."""
MINUS_SIGNS = ("-", "--")
"""Names of a negative class where there is a positive one of plus signs."""
PLUS_SIGNS = re.compile(r"\++")
"""Names of the positive class beside one of minus signs."""
NEGATIVE_WORD = re.compile(
    r"^(0|neg(ative)?|normal|benign|control|healthy|wild[ _-]?type|wt|low|absent|false|no|stable"
    r"|zero|mss|pmmr|mmrp|msi[-_ ]?l)$",
    re.IGNORECASE,
)
"""Words of negative classes."""
NEGATIVE_FORM = re.compile(
    r"^((no|not|without|normal|benign|healthy|negative[-_ ]for)[-_ ].*|non.+"
    r"|.+[-_ ](free|wt)|.*-)$",
    re.IGNORECASE,
)
"""Forms of names of negative classes."""
NEGATIVE_PREFIXES = ("un", "in", "no")
"""Prefixes that make the negative of the other class: unmethylated, inactive."""
NEGATIVE_ENDINGS = (("0", "+"), ("wt", "mut"))
"""Endings of a negative class and of the other one, behind the same name: N0, N+."""
WEAK_PREFIX = "a"
"""Prefix that makes the negative of most classes (asymptomatic), but not by itself."""
FINDINGS = ("atypi",)
"""Beginnings of names with that prefix that are the finding all the same: atypical, atypia."""


WORD = re.compile(r"[^\W\d_]+|\d+")
"""A run of letters or of digits."""


class GuessReason(StrEnum):
    """Why one of two classes was taken for the positive one without being known to be."""

    ALPHABET = "as the last in the alphabet"
    PREFIX = "by the first letter of a name"


def is_missing(cell: str) -> bool:
    """Say whether a cell says that something is not known."""
    plain = plain_characters(cell).strip()
    is_word = plain.casefold() in MISSING or plain == NO_TIME
    return is_word or bool(SPREADSHEET_ERROR.fullmatch(plain))


def minus_is_a_class(labels: Iterable[str]) -> bool:
    """Say whether a minus sign is a class beside one of plus signs, and not a missing label."""
    return any(PLUS_SIGNS.fullmatch(label.strip()) for label in labels)


def is_minus(label: str) -> bool:
    """Say whether a label is a minus sign; see `minus_is_a_class`."""
    return plain_characters(label).strip() in MINUS_SIGNS


def ordered_classes(names: Iterable[str], *, multi_label: bool) -> tuple[str, ...]:
    """Sort classes; of two, a negative one comes first."""
    ordered = sorted(names)
    if len(ordered) == 2 and not multi_label:
        first, second = ordered
        if _comes_first(second, first):
            return second, first
    return tuple(ordered)


def guess_of(classes: Sequence[str], *, multi_label: bool) -> GuessReason | None:
    """Return why the last of two classes was guessed to be the positive one.

    None where their names tell, and where there are not two.
    """
    if len(classes) != 2 or multi_label:
        return None
    first, second = classes
    if is_negative(first, second) != is_negative(second, first):
        return None
    is_weak = _is_weakly_negative(first, second) or _is_weakly_negative(second, first)
    return GuessReason.PREFIX if is_weak else GuessReason.ALPHABET


def negative_of(names: Collection[str]) -> str | None:
    """Return the negative one of two classes where their names tell, or None."""
    if len(names) != 2:
        return None
    first, second = names
    if is_negative(first, second) == is_negative(second, first):
        return None
    return first if is_negative(first, second) else second


def _comes_first(name: str, other: str) -> bool:
    """Say whether a class is the negative one rather than the other, by its name or a guess."""
    if is_negative(name, other) != is_negative(other, name):
        return is_negative(name, other)
    return _is_weakly_negative(name, other)


def _is_weakly_negative(name: str, other: str) -> bool:
    """Say whether the prefix of a single letter makes a class the negative one."""
    own, others = _differing_words(name, other) or (key_of(name), key_of(other))
    if others == f"{WEAK_PREFIX}{own}":
        return others.startswith(FINDINGS)
    return own == f"{WEAK_PREFIX}{others}" and not own.startswith(FINDINGS)


def is_negative(name: str, other: str) -> bool:
    """Say whether a class is the negative one beside another.

    By its name, or by the one word in which it differs: ``ER negative`` of ``ER positive``, ``N0``
    of ``N1``.
    """
    written = plain_characters(name).strip()
    if NEGATIVE_WORD.match(written) or NEGATIVE_FORM.match(written):
        return True
    own, others = key_of(name), key_of(other)
    if any(
        own.endswith(ending) and others == f"{own.removesuffix(ending)}{opposite}"
        for ending, opposite in NEGATIVE_ENDINGS
    ):
        return True
    own_word, other_word = _differing_words(name, other) or (own, others)
    if any(own_word == f"{prefix}{other_word}" for prefix in NEGATIVE_PREFIXES):
        return True
    return own_word != own and bool(NEGATIVE_WORD.match(own_word))


def _differing_words(name: str, other: str) -> tuple[str, str] | None:
    """Return the only word in which two names differ, of each, or None."""
    own_words = WORD.findall(key_of(name))
    other_words = WORD.findall(key_of(other))
    if len(own_words) != len(other_words):
        return None
    differing = [pair for pair in zip(own_words, other_words, strict=True) if pair[0] != pair[1]]
    return differing[0] if len(differing) == 1 else None
