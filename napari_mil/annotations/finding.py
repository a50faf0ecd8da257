"""Finding the annotation files of slides, and those that belong to none."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from pathlib import Path

from napari_mil.annotations.texts import encoding_of, folded
from napari_mil.slides import SLIDE_EXTENSIONS

ENDINGS = (".geojson", ".geojson.gz", ".json", ".json.gz", ".xml", ".annotations")
FOLDER = "annotations"
DRAWN = ".regions.geojson"
"""Ending of the file of regions drawn in this window.

Files of other programs are never written to.
"""
SURE_ENDINGS = (".geojson", ".geojson.gz", ".annotations")
"""Endings of files that are annotations and nothing else."""
OME = ".ome"
"""What stands before the ending of an OME-TIFF and is no part of a slide's name."""
TELLING = re.compile(r'"type"\s*:\s*"feature|"coordinates"\s*:\s*\[|<(?:asap_)?annotations\b')
"""What the first characters of annotations of another ending hold, casefolded."""
LOOKED_INTO = 4096
"""Characters by which a file of another ending is known to hold annotations."""


class Agreement(Enum):
    """How a file's name and a slide's agree, the surest first."""

    EXACT = auto()
    FOLDED = auto()
    SHORT = auto()
    SHORT_FOLDED = auto()

    @property
    def is_folded(self) -> bool:
        """Whether they agree without regard to case alone."""
        return self in (Agreement.FOLDED, Agreement.SHORT_FOLDED)


Names = dict[Agreement, dict[str, set[str]]]
"""Names of what stands in a folder, by how they are spelled."""


class AnnotationFiles:
    """Annotation files of slides; each folder is listed once.

    They have the slide's name, with or without its ending, and stand beside it or in a folder
    ``annotations`` there. Where no file or slide is spelled like that exactly, case does not
    count; a file that would then belong to slides of several spellings belongs to none.
    """

    def __init__(self) -> None:
        self._listed: dict[Path, tuple[str, ...]] = {}
        self._owned: dict[Path, dict[str, list[Path]]] = {}

    def of(self, slide: Path) -> tuple[Path, ...]:
        """Return the files of a slide, those beside it first."""
        if slide.parent not in self._owned:
            self._owned[slide.parent] = self._owners_in(slide.parent)
        return tuple(self._owned[slide.parent].get(slide.name, ()))

    def strays(self, folders: Iterable[Path]) -> tuple[Path, ...]:
        """Return the annotation files in folders that belong to nothing beside them.

        Files that may be about something else (``.json``, ``.xml``) are looked into.
        """
        found = []
        for folder in dict.fromkeys(folders):
            if folder not in self._owned:
                self._owned[folder] = self._owners_in(folder)
            owned = {path for paths in self._owned[folder].values() for path in paths}
            found += [
                path
                for path in self._annotations_of(folder)
                if path not in owned and _holds_annotations(path)
            ]
        return tuple(found)

    def _owners_in(self, folder: Path) -> dict[str, list[Path]]:
        """Return the annotation files of each name in a folder."""
        slides = _empty_names()
        others = _empty_names()
        for name in self._names(folder):
            if name.casefold().endswith(ENDINGS):
                continue
            # Folders may be slides, notes beside one are none.
            suffix = Path(name).suffix.lower()
            names = slides if not suffix or suffix in SLIDE_EXTENSIONS else others
            for agreement, spelled in _spellings(name):
                names[agreement].setdefault(spelled, set()).add(name)
        owned: dict[str, list[Path]] = {}
        for path in self._annotations_of(folder):
            owners = _owners_of(path.name, slides) or _owners_of(path.name, others)
            for name in sorted(owners):
                owned.setdefault(name, []).append(path)
        return owned

    def _annotations_of(self, folder: Path) -> list[Path]:
        """Return the annotation files beside the slides of a folder, then those one below."""
        below = [folder / name for name in self._names(folder) if name.casefold() == FOLDER]
        return [
            parent / name
            for parent in (folder, *below)
            for name in sorted(self._names(parent), key=_order)
            if name.casefold().endswith(ENDINGS) and not name.startswith(".")
        ]

    def _names(self, folder: Path) -> tuple[str, ...]:
        if folder not in self._listed:
            try:
                self._listed[folder] = tuple(sorted(os.listdir(folder)))
            except OSError:
                self._listed[folder] = ()
        return self._listed[folder]


def _empty_names() -> Names:
    return {agreement: {} for agreement in Agreement}


def _spellings(name: str) -> Iterator[tuple[Agreement, str]]:
    """Yield the names that annotation files of a slide may have, with how sure each is."""
    stem = Path(name).stem
    for spelled in {name, stem}:
        yield Agreement.EXACT, spelled
        yield Agreement.FOLDED, folded(spelled)
    if stem.casefold().endswith(OME):
        yield Agreement.SHORT, stem[: -len(OME)]
        yield Agreement.SHORT_FOLDED, folded(stem[: -len(OME)])


def _owners_of(file: str, names: Names) -> set[str]:
    """Return the slides that an annotation file belongs to by its name."""
    stems = [file[: -len(e)] for e in (DRAWN, *ENDINGS) if file.casefold().endswith(e)]
    for agreement in Agreement:
        owners: set[str] = set()
        for stem in stems:
            wanted = folded(stem) if agreement.is_folded else stem
            owners |= names[agreement].get(wanted, set())
        if owners:
            spelled = {Path(owner).stem for owner in owners}
            return set() if agreement.is_folded and len(spelled) > 1 else owners
    return set()


def _order(name: str) -> tuple[bool, str]:
    """Order files by name, regions drawn in this window first."""
    return not name.casefold().endswith(DRAWN), name


def _holds_annotations(path: Path) -> bool:
    """Say whether a file holds annotations, by its ending or its first characters."""
    if path.name.casefold().endswith(SURE_ENDINGS):
        return path.is_file()
    try:
        with gzip.open(path) if path.name.casefold().endswith(".gz") else path.open("rb") as file:
            start = file.read(LOOKED_INTO)
    except (OSError, EOFError, zlib.error):
        return False
    text = start.decode(encoding_of(start[:4]) or "utf-8", "ignore").casefold()
    return TELLING.search(text) is not None
