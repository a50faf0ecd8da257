"""Classes of a cohort that the regions of annotation files stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from napari_mil.annotations import Region
from napari_mil.annotations.texts import folded
from napari_mil.errors import OptionError

LEFT_OUT = ""
"""Class in a mapping of regions that count as not drawn."""
UNKNOWN = -1
"""Number of no class: what lies inside is not known."""
NOT_DRAWN = -2
"""Number of regions that a mapping leaves out."""


@dataclass(frozen=True)
class RegionClasses:
    """Which class of a cohort each name of a region stands for.

    A name is compared with the classes exactly, then without regard to case, then by the user's
    mapping; of a derived class such as ``Tumor: Positive``, the whole and then each part. What
    matches nothing is of no class, so that its tiles are unknown.
    """

    classes: tuple[str, ...]
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Class by name of a region; an empty class leaves such regions out."""

    def check(self) -> None:
        """Refuse a mapping onto classes that do not exist, or of a class's own name.

        Raises
        ------
        OptionError
            Naming the first entry at fault.
        """
        for name, wanted in self.mapping.items():
            if wanted != LEFT_OUT and self._own(wanted) is None:
                raise OptionError(
                    f"Regions named {name!r} cannot be mapped to {wanted!r}, which is no class; "
                    f"the classes are {', '.join(self.classes)}."
                )
            if self._own(name) is not None:
                raise OptionError(
                    f"{name!r} is a class of the cohort by itself; take its mapping out."
                )

    def number_of(self, region: Region, labels: tuple[str, ...]) -> int:
        """Return the number of a region's class, `UNKNOWN`, or `NOT_DRAWN`.

        Parameters
        ----------
        region
            The region.
        labels
            Classes of its slide: a region without a name belongs to a slide's only class.
        """
        if region.ignored:
            return UNKNOWN
        if region.name:
            return self.number_of_name(region.name)
        return self.classes.index(labels[0]) if len(labels) == 1 else UNKNOWN

    def number_of_name(self, name: str) -> int:
        """Return the number of the class of a name, `UNKNOWN`, or `NOT_DRAWN`."""
        if name in self._numbers:
            return self._numbers[name]
        number = UNKNOWN
        for part in (name, *name.split(": ")):
            found = self._own(part)
            if found is None:
                found = self._mapped.get(folded(part))
            if found is not None:
                number = found
                break
        self._numbers[name] = number
        return number

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {}

    @cached_property
    def _mapped(self) -> dict[str, int]:
        mapped = {}
        for name, wanted in self.mapping.items():
            number = NOT_DRAWN if wanted == LEFT_OUT else self._own(wanted)
            mapped[folded(name)] = UNKNOWN if number is None else number
        return mapped

    def _own(self, name: str) -> int | None:
        """Return the number of the class of that name, exactly or without regard to case."""
        if name in self.classes:
            return self.classes.index(name)
        alike = [folded(own) for own in self.classes]
        return alike.index(folded(name)) if folded(name) in alike else None


def parse_mapping(text: str, what: str = "Regions") -> dict[str, str]:
    """Return the mapping that is written as ``Tumor=malignant,Stroma=benign``.

    Commas or semicolons separate; an empty class leaves such regions out. `what` is mapped.
    Names and classes may stand in double quotes, one inside written twice. Without them, what
    stands between two separators and has no equals sign belongs to the name after it, and of
    several equals signs the last one counts: ``Tumor, G3=malignant`` maps ``Tumor, G3``.

    Raises
    ------
    OptionError
        If an entry has no equals sign, or a name is mapped twice.
    """
    mapping: dict[str, str] = {}
    for name, wanted in _entries(text):
        if wanted is None or not name:
            raise OptionError(f"{what} are mapped as Tumor=malignant,Stroma=benign, not {text!r}.")
        if mapping.get(name, wanted) != wanted:
            raise OptionError(f"{what} named {name!r} are mapped to two classes; choose one.")
        mapping[name] = wanted
    return mapping


def mapping_text(mapping: Mapping[str, str]) -> str:
    """Return a mapping as it is written; see `parse_mapping`."""
    return ",".join(f"{_quoted(name)}={_quoted(wanted)}" for name, wanted in mapping.items())


PIECES = re.compile(r'"(?:[^"]|"")*"|[^"]|"')
"""Quoted texts and single characters."""


def _entries(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield names and what they are mapped to; None where an entry has no equals sign."""
    pieces: list[str] = []
    for piece in [*PIECES.findall(text), ","]:
        if piece in (",", ";") and ("=" in pieces or not "".join(pieces).strip()):
            if "=" in pieces:
                equals = len(pieces) - 1 - pieces[::-1].index("=")
                yield _unquoted(pieces[:equals]), _unquoted(pieces[equals + 1 :])
            pieces = []
        else:
            pieces.append(piece)
    if pieces:
        yield _unquoted(pieces), None


def _unquoted(pieces: Sequence[str]) -> str:
    text = "".join(pieces).strip()
    if PIECES.fullmatch(text) and len(text) > 1:
        return text[1:-1].replace('""', '"')
    return text


def _quoted(name: str) -> str:
    """Return a name as it stands in a mapping."""
    return '"{}"'.format(name.replace('"', '""')) if re.search('[,;="]', name) else name
