"""Names of files that differ in the channel alone: several files of one field."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mil.bags.instances import Colour
from napari_mil.slides.channels import default_colour

BLUE, GREEN, RED = (0, 0, 255), (0, 255, 0), (255, 0, 0)
YELLOW, MAGENTA, CYAN = (255, 255, 0), (255, 0, 255), (0, 255, 255)
COLOURS: dict[str, Colour] = {
    "blue": BLUE,
    "dapi": BLUE,
    "hoechst": BLUE,
    "hoechst33342": BLUE,
    "green": GREEN,
    "gfp": GREEN,
    "egfp": GREEN,
    "fitc": GREEN,
    "cy2": GREEN,
    "alexa488": GREEN,
    "af488": GREEN,
    "red": RED,
    "rfp": RED,
    "mcherry": RED,
    "tritc": RED,
    "cy3": RED,
    "texasred": RED,
    "rhodamine": RED,
    "alexa555": RED,
    "alexa568": RED,
    "alexa594": RED,
    "af555": RED,
    "af568": RED,
    "af594": RED,
    "yellow": YELLOW,
    "yfp": YELLOW,
    "cyan": CYAN,
    "cfp": CYAN,
    "magenta": MAGENTA,
    "farred": MAGENTA,
    "cy5": MAGENTA,
    "alexa647": MAGENTA,
    "af647": MAGENTA,
}
"""Colours of stains and of channels that are called after one."""
LETTERS = ({"D": BLUE, "F": GREEN, "R": RED}, {"R": RED, "G": GREEN, "B": BLUE})
"""Sets of single letters: DAPI, fluorescein, rhodamine; red, green, blue.

A single letter also stands for sides and repeats, so only whole sets count.
"""
SIGNS = "-_. "
START = r"(?:(?<=[-_. ])|(?<=^))"
END = r"(?=[-_. ]|$)"
UNIQUE = r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?"
"""Identifier that some microscopes put after the channel, another for every file."""
STAIN = "|".join(sorted(COLOURS, key=len, reverse=True))
PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (rf"{START}(?P<token>{STAIN}){END}", re.IGNORECASE),
        (rf"{START}(?P<token>[DFRGB]){END}", 0),
        (rf"{START}(?P<token>w\d){UNIQUE}{END}", re.IGNORECASE),
        (rf"{START}(?P<token>ch\d{{1,2}})(?=[-_. ]|sk\d|$)", re.IGNORECASE),
        (r"^(?P<token>C\d)(?=-)", 0),
    )
)
"""Ways to write a channel: stain or colour, letter, ``_w1``, ``_ch00``, ImageJ's ``C1-``."""


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """A file that holds one channel of a field."""

    file: Path
    token: str
    colour: Colour


@dataclass(frozen=True)
class ChannelNames:
    """What the names of the files of a folder say of channels."""

    tokens: tuple[str, ...]
    """Ways the channels are called, sorted."""
    fields: dict[str, tuple[ChannelFile, ...]]
    """Files of each field, by the common part of their names without the ending.

    Empty where fields differ.
    """


def find_channels(files: Sequence[Path]) -> ChannelNames | None:
    """Find files that differ in the name of their channel alone.

    They are fields where every file of the folder names a channel, and every field has the same
    two or more of them. A folder with a file of none, or fields that lack some, stays as it is: no
    channel is invented.

    Parameters
    ----------
    files
        All image files of the folder.

    Returns
    -------
    ChannelNames or None
        Without fields where some have several channels but not all the same; None where the names
        say nothing.
    """
    incomplete = None
    for pattern in PATTERNS:
        grouped = _group(files, pattern)
        if grouped is None:
            continue
        sets = {tuple(sorted(tokens)) for tokens in grouped.values()}
        all_tokens = tuple(sorted(set().union(*sets)))
        palette = _palette(all_tokens)
        if palette is None or max(map(len, sets)) < 2:
            continue
        if len(sets) > 1:
            incomplete = incomplete or ChannelNames(all_tokens, {})
            continue
        fields = {
            name or "-".join(all_tokens): tuple(
                ChannelFile(by_token[token], token, palette[token]) for token in all_tokens
            )
            for name, by_token in grouped.items()
        }
        return ChannelNames(all_tokens, fields)
    return incomplete


def _group(files: Iterable[Path], pattern: re.Pattern[str]) -> dict[str, dict[str, Path]] | None:
    """Group files by their names without the channel; None where one names none, or one twice."""
    grouped: dict[str, dict[str, Path]] = defaultdict(dict)
    for file in files:
        matches = list(pattern.finditer(file.stem))
        if not matches:
            return None
        token = matches[-1]["token"]
        by_token = grouped[_without(file.stem, matches[-1])]
        # Names that differ in case alone are one token.
        key = token if len(token) == 1 else token.lower()
        if key in by_token:
            return None
        by_token[key] = file
    return grouped


def _without(stem: str, found: re.Match[str]) -> str:
    """Return a name without its channel and one of the signs around it."""
    before = stem[: found.start()]
    after = stem[found.end() :]
    if not before:
        return after[1:]
    return before[:-1] + after if not after or after[0] in SIGNS else before + after


def _palette(tokens: tuple[str, ...]) -> dict[str, Colour] | None:
    """Return the colours of channels, or None where they are letters of no known set."""
    if all(len(token) == 1 for token in tokens):
        return next((letters for letters in LETTERS if set(letters) == set(tokens)), None)
    return {
        token: COLOURS.get(token, default_colour(k, len(tokens))) for k, token in enumerate(tokens)
    }
