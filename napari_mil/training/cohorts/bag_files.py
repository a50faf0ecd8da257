"""Files of bags beside a table, and which of them a cell means."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from os.path import exists
from pathlib import Path, PureWindowsPath

from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.names import bag_name
from napari_mil.bags.readers import FEATURE_ENDINGS, is_side_file
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder
from napari_mil.training.cohorts.cohort import TABLE

BAG_ENDINGS = (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *IMAGE_ENDINGS)
"""Endings of files that can be bags."""
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
        self._folder = folder
        self.beside: tuple[Path, ...] = tuple(_bags_in(folder, BAG_ENDINGS))
        """Bags in the folder itself."""
        below = _below(folder, FOLDERS_BELOW)
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_number: dict[int, list[Path]] = defaultdict(list)
        for path in (*self.beside, *below):
            name = _plain(bag_name(path))
            self._by_name[name].append(path)
            if name.isdecimal():
                self._by_number[int(name)].append(path)

    def find(self, name: str) -> Path | Finding:
        """Return the file or folder that a cell means, or why there is none.

        A name with its ending, another one or none, or cut at a dot; a relative path stays below
        the folder; of a path of another machine the name alone counts; a number may have lost its
        zeros. A file comes before a folder of its name.
        """
        if PureWindowsPath(name).is_absolute() or (Path(name).is_absolute() and not exists(name)):
            name = PureWindowsPath(name).name
        path = self._folder / name
        if "\\" in name and not exists(path):
            name = name.replace("\\", "/")
            path = self._folder / name

        def skip(text: str) -> Finding:
            return Finding(FindingKind.SKIPPED, path, text)

        within = Path(os.path.normpath(path)).is_relative_to(self._folder)
        if not Path(name).is_absolute() and not within:
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
        chosen = _one_of(files or candidates)
        if chosen is not None:
            return chosen
        if candidates:
            names = ", ".join(
                candidate.relative_to(self._folder).as_posix() for candidate in candidates
            )
            return skip(f"Several files have this name ({names}); add folder and ending.")
        return skip("There is no such file.")

    def _named(self, name: str) -> list[Path]:
        """Return the bags of a name, with or without an ending, or of a number."""
        plain = _plain(bag_name(Path(name), is_folder=False))
        candidates = self._by_name.get(plain) or self._by_name.get(_plain(Path(name).name), [])
        number = plain.removesuffix(".0")
        if not candidates and number.isdecimal():
            candidates = self._by_number.get(int(number), [])
        if not candidates:
            # GDC appends an identifier of its own to the barcode of a slide.
            candidates = [
                path
                for own, paths in self._by_name.items()
                if own.startswith(f"{plain}.")
                for path in paths
            ]
        parent = Path(name).parent
        if parent != Path():
            wanted = self._folder / parent
            candidates = [candidate for candidate in candidates if candidate.parent == wanted]
        return candidates


def _one_of(candidates: list[Path]) -> Path | None:
    """Return the only candidate, or the first kind of several feature files of one bag."""
    if len(candidates) == 1:
        return candidates[0]
    endings = [candidate.suffix.lower() for candidate in candidates]
    if not candidates or len(set(endings)) < len(endings):
        return None
    if not all(ending in FEATURE_ENDINGS for ending in endings):
        return None
    # HDF5 says where tiles lie; the order of the endings is the order of trust.
    return min(candidates, key=lambda candidate: FEATURE_ENDINGS.index(candidate.suffix.lower()))


def _bags_in(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        is_bag_file = path.suffix.lower() in endings and path.is_file() and not is_side_file(path)
        if is_bag_file or is_slide_folder(path):
            yield path


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """Yield slides and features in folders below; pictures there are instances of bags."""
    if depth == 0:
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and not is_slide_folder(path):
            yield from _bags_in(path, (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS))
            yield from _below(path, depth - 1)


def _plain(name: str) -> str:
    """Return a name as it is compared: composed characters, whatever their case."""
    return unicodedata.normalize("NFC", name).casefold()
