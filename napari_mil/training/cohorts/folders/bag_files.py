"""Files of bags beside a table, and which of them a cell means."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from os.path import exists
from pathlib import Path, PureWindowsPath

import h5py

from napari_mil.annotations.texts import folded
from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.names import bag_name
from napari_mil.bags.readers import FEATURE_ENDINGS, is_side_file
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder
from napari_mil.training.cohorts.cohort import TABLE
from napari_mil.training.cohorts.folders.companions import is_hidden, side_pictures
from napari_mil.training.cohorts.folders.file_names import is_utf8, unknown_characters

BAG_ENDINGS = (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *IMAGE_ENDINGS)
"""Endings of files that can be bags."""
FOREIGN_SLIDES = (
    *(".isyntax", ".i2syntax", ".vsi", ".ets", ".nd2", ".jp2", ".jpx", ".lif", ".zvi", ".afi"),
    *(".oir", ".mds", ".kfb", ".sdpc", ".tmap", ".dicom"),
)
"""Endings of slides that are not read, and may stand in a table of features made of them."""
PACKED = (".gz", ".zip", ".tar", ".tgz", ".bz2", ".xz")
"""Endings of packed files."""
COORDINATES = "coords"
"""The only dataset of CLAM's files of places."""
GDC_ADDITION = re.compile(r"\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""What GDC appends to the barcode of a slide."""
FOLDERS_BELOW = 2
"""How deep below a table files are looked for."""


class BagFiles:
    """Bags in the folder of a table and up to two folders below.

    Parameters
    ----------
    folder
        Folder of the table.
    """

    def __init__(self, folder: Path) -> None:
        folder = Path(os.path.abspath(folder))
        self._folder = folder
        every = [_bags_in(folder, BAG_ENDINGS), *_below(folder, FOLDERS_BELOW)]
        side = {path for bags in every for path in side_pictures(bags)}
        self.beside: tuple[Path, ...] = tuple(
            path for path in every[0] if path not in side and is_utf8(path)
        )
        """Bags in the folder itself, but for pictures of other bags."""
        self._unknown = [path for bags in every for path in bags if not is_utf8(path)]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_number: dict[int, list[Path]] = defaultdict(list)
        self._by_beginning: dict[str, list[Path]] = defaultdict(list)
        self._pictures: dict[str, list[Path]] = defaultdict(list)
        self._folders = {bags[0].parent for bags in every[1:]}
        self._several: dict[Path, list[Path]] = {}
        self._cut: dict[str, Path] = {}
        for path in (path for bags in every for path in bags if is_utf8(path)):
            name = folded(bag_name(path))
            of_kind = self._pictures if path in side else self._by_name
            of_kind[name].append(path)
            if path not in side:
                for dot in re.finditer(r"\.", name):
                    self._by_beginning[name[: dot.start()]].append(path)
            if name.isdecimal() and path not in side:
                self._by_number[int(name)].append(path)

    def find(self, name: str) -> Path | Finding:
        """Return the file or folder that a cell means, or why there is none.

        A name with its ending, another one or none, or cut at a dot; a relative path stays below
        the folder; of a path of another machine the name alone counts; a number may have lost its
        zeros. A file comes before a folder of its name, a name in its own case before others,
        features and slides beside the table before those in folders, HDF5 before other features.
        """
        if PureWindowsPath(name).is_absolute() or (Path(name).is_absolute() and not exists(name)):
            name = PureWindowsPath(name).name
        path = Path(os.path.normpath(self._folder / name))
        if "\\" in name and not exists(path):
            name = name.replace("\\", "/")
            path = Path(os.path.normpath(self._folder / name))

        def skip(text: str) -> Finding:
            return Finding(FindingKind.SKIPPED, path, text)

        if not Path(name).is_absolute() and not path.is_relative_to(self._folder):
            return skip(
                f"It lies outside the folder of {TABLE}; give an absolute path, or move it."
            )
        try:
            if path.is_file():
                return path
            is_folder = path.is_dir()
        except OSError as error:
            return skip(f"No file can have this name ({error.strerror or error}).")
        candidates = self._named(name)
        files = [candidate for candidate in candidates if candidate.is_file()]
        if is_folder and not files:
            return path
        chosen = self._choose(name, files or candidates)
        if chosen is not None:
            self._note_cut(name, chosen)
            return chosen
        if candidates:
            names = ", ".join(map(self._place, candidates))
            return skip(f"Several files have this name ({names}); add folder and ending.")
        return skip("There is no such file.")

    def remarks(self, table: Path) -> Iterator[Finding]:
        """Yield what the cells that were looked for left to decide, a line each kind.

        Parameters
        ----------
        table
            File that the findings are about.
        """
        if self._unknown:
            yield unknown_characters(self._unknown)
        if self._several:
            taken, others = next(iter(self._several.items()))
            lie = f"{len(self._several)} bags lie" if len(self._several) > 1 else "1 bag lies"
            left = ", ".join(map(self._place, others))
            text = (
                f"{lie} there as several files; for one, {self._place(taken)} is used, not {left}."
            )
            yield Finding(FindingKind.GROUPING, table, text, len(self._several))
        if self._cut:
            name, path = next(iter(self._cut.items()))
            end = f"{len(self._cut)} names end" if len(self._cut) > 1 else "1 name ends"
            text = (
                f"{end} before a dot of the file's; for one, {name} is taken for "
                f"{self._place(path)}."
            )
            yield Finding(FindingKind.GUESSED, table, text, len(self._cut))

    def _named(self, name: str) -> list[Path]:
        """Return the bags of a name, with or without an ending, or of a number."""
        plain = folded(bag_name(Path(name), is_folder=False))
        candidates: list[Path] = []
        for spelling in (plain, Path(name).name, _without_foreign_ending(Path(name).name)):
            candidates = candidates or self._by_name.get(folded(spelling), [])
        number = plain.removesuffix(".0")
        if not candidates and number.isdecimal():
            candidates = self._by_number.get(int(number), [])
        # A picture of another bag counts where the table names it.
        candidates = candidates or self._pictures.get(plain, [])
        return self._below_its_folder(name, candidates or self._cut_at_a_dot(plain))

    def _cut_at_a_dot(self, plain: str) -> list[Path]:
        """Return the bags whose name goes on after a dot, as with GDC's own identifiers."""
        return self._by_beginning.get(plain, [])

    def _note_cut(self, name: str, path: Path) -> None:
        """Remember a name that goes on after a dot, but for a slide's ending and GDC's addition."""
        plain = folded(bag_name(Path(name), is_folder=False))
        own = folded(bag_name(path))
        if not own.startswith(f"{plain}."):
            return
        added = own.removeprefix(plain)
        if added not in (*SLIDE_EXTENSIONS, *FOREIGN_SLIDES) and not GDC_ADDITION.fullmatch(added):
            self._cut[name] = path

    def _below_its_folder(self, name: str, candidates: list[Path]) -> list[Path]:
        """Return the candidates in the folder that a name says, or all where that has no bags."""
        wanted = self._folder / Path(name).parent
        if wanted == self._folder:
            return candidates
        if wanted not in self._folders:
            # Paths of slides, beside features that were made of them.
            return candidates
        return [candidate for candidate in candidates if candidate.parent == wanted]

    def _choose(self, name: str, candidates: list[Path]) -> Path | None:
        """Return the only candidate, or the first of several files of one bag."""
        if len(candidates) > 1:
            plain = _composed(bag_name(Path(name), is_folder=False))
            exact = [path for path in candidates if _composed(bag_name(path)) == plain]
            candidates = exact or candidates
        if len(candidates) > 1:
            whole = [path for path in candidates if not _holds_coordinates_alone(path)]
            candidates = whole or candidates
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        if len(set(map(_is_features, candidates))) > 1:
            return None
        least = min(len(path.parts) for path in candidates)
        nearest = [path for path in candidates if len(path.parts) == least]
        chosen = _first_ending(nearest)
        if chosen is not None:
            self._several[chosen] = [path for path in candidates if path != chosen]
        return chosen

    def _place(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _first_ending(candidates: list[Path]) -> Path | None:
    """Return the only candidate, or that of the first ending of feature files."""
    if len(candidates) == 1:
        return candidates[0]
    endings = [candidate.suffix.lower() for candidate in candidates]
    if len(set(endings)) < len(endings) or not all(map(_is_features, candidates)):
        return None
    # HDF5 says where tiles lie; the order of the endings is the order of trust.
    return min(candidates, key=lambda candidate: FEATURE_ENDINGS.index(candidate.suffix.lower()))


def _is_features(path: Path) -> bool:
    return path.suffix.lower() in FEATURE_ENDINGS


def _holds_coordinates_alone(path: Path) -> bool:
    """Say whether a file holds the places of tiles without features, as CLAM's ``patches``."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    try:
        with h5py.File(path) as file:
            return set(file) == {COORDINATES}
    except OSError:
        return False


def _bags_in(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the bags in a folder, and pictures of them."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not is_hidden(path)
        if (path.suffix.lower() in endings and path.is_file() and not is_side_file(path))
        or is_slide_folder(path)
    ]


def _below(folder: Path, depth: int) -> Iterator[list[Path]]:
    """Yield slides and features in each folder below; pictures there are instances of bags."""
    if depth == 0:
        return
    for path in sorted(folder.iterdir()):
        is_open = path.is_dir() and os.access(path, os.R_OK | os.X_OK)
        if is_open and not is_hidden(path) and not is_slide_folder(path):
            bags = _bags_in(path, (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS))
            if bags:
                yield bags
            yield from _below(path, depth - 1)


def _without_foreign_ending(name: str) -> str:
    """Return a name without the ending of a slide that is not read, or of a packed one."""
    path = Path(name)
    if path.suffix.lower() not in (*FOREIGN_SLIDES, *PACKED):
        return name
    return bag_name(path.with_suffix(""), is_folder=False)


def _composed(name: str) -> str:
    """Return a name with composed characters."""
    return unicodedata.normalize("NFC", name)
