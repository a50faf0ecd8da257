"""Spellings of one class, patient or fold: what differs by its writing alone."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mil.findings import Finding, FindingKind

PLAIN_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:([.,])(\d+))?", re.ASCII)
"""A number without an exponent: 12E3 may be a name."""
THOUSAND = 3
"""Digits behind a comma that may divide thousands."""
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Spelling:
    """Spellings that mean one thing."""

    label: str
    """The one that is used."""
    others: tuple[str, ...]


def spellings_of(names: Iterable[str]) -> list[Spelling]:
    """Find names that differ in spelling alone; see `key_of`.

    The most frequent spelling is used; of equally frequent ones, the shortest, then the first in
    the alphabet.
    """
    counts = Counter(names)
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        by_key[key_of(name)].append(name)
    found = []
    for same in by_key.values():
        first, *others = sorted(same, key=lambda name: (-counts[name], len(name), name))
        if others:
            found.append(Spelling(first, tuple(others)))
    return found


def used_spellings(spellings: Iterable[Spelling]) -> dict[str, str]:
    """Return the spelling that is used by each of the others."""
    return {other: spelling.label for spelling in spellings for other in spelling.others}


def label_findings(source: Path, spellings: Sequence[Spelling]) -> list[Finding]:
    """Say which labels are taken for which."""
    findings = []
    for spelling in spellings:
        others = ", ".join(map(_shown, spelling.others))
        verb = "is" if len(spelling.others) == 1 else "are"
        text = f"{others} {verb} taken for {spelling.label!r}; they differ in spelling alone."
        findings.append(Finding(FindingKind.SPELLING, source, text))
    return findings


def patient_findings(source: Path, spellings: Sequence[Spelling]) -> list[Finding]:
    """Say once how many patients are written in several ways, and name the first."""
    if not spellings:
        return []
    first = min(spellings, key=lambda spelling: spelling.label)
    names = " and ".join((repr(first.label), *map(_shown, first.others)))
    more = f", as do those of {len(spellings) - 1} more" if len(spellings) > 1 else ""
    text = f"Patients {names} are taken for one; they differ in spelling alone{more}."
    return [Finding(FindingKind.SPELLING, source, text, len(spellings))]


def _shown(other: str) -> str:
    """Return a name in quotes, in codes where it would look like that in composed letters."""
    composed = unicodedata.normalize("NFC", other)
    return repr(other) if composed == other else ascii(other)


def key_of(name: str) -> str:
    """Return what spellings of one thing have in common.

    Case, blanks, invisible characters, kinds of dashes and composed letters make no difference;
    neither do the zeros around a number, its plus sign and its decimal comma. Zeros within a name
    do: P01 and P1 may be two.
    """
    key = " ".join(plain_characters(name).split()).casefold()
    number = PLAIN_NUMBER.fullmatch(key)
    if number is None:
        return key
    sign, whole, mark, fraction = number.groups(default="")
    if mark == "," and len(fraction) == THOUSAND:
        return key  # 1,000 may be a thousand
    # 1.10 and 1.1 may be two: only a fraction of nothing but zeros is dropped.
    rest = f".{fraction}" if fraction.strip("0") else ""
    is_zero = not (whole.strip("0") or rest)
    return f"{'-' if sign == '-' and not is_zero else ''}{whole}{rest}"


def plain_characters(name: str) -> str:
    """Return a name in composed letters, with plain dashes and nothing invisible."""
    composed = unicodedata.normalize("NFC", name)
    return "".join(map(_plain_character, composed))


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return "-" if category == "Pd" or character == MINUS else character
