"""Tables of labelled bags: ``slide,label[,patient][,split]``."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.names import bag_name
from napari_mil.bags.readers import FEATURE_ENDINGS
from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder
from napari_mil.training.cohort import TABLE

COLUMNS = {
    "slide": ("slide", "slide_id", "file", "filename", "bag", "image"),
    "label": ("label", "labels", "class"),
    "patient": ("patient", "patient_id", "case_id", "case"),
    "split": ("split",),
}
"""Names that each column of a table may have."""
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Names that each split may have."""
LABEL_SEPARATOR = ";"
"""Character between several labels of one bag."""
BAG_ENDINGS = (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS, *IMAGE_ENDINGS)
"""Endings of files that can be bags."""


@dataclass(frozen=True)
class Entry:
    """A bag that a folder or a table lists."""

    path: Path
    labels: tuple[str, ...]
    patient: str | None = None
    split: str | None = None


def read_table(table: Path, skipped: list[Finding], warnings: list[Finding]) -> Iterator[Entry]:
    """Yield the bags that a table lists.

    Rows that cannot be used go to `skipped`, oddities to `warnings`.

    Raises
    ------
    TrainingError
        If the table cannot be understood.
    """
    listed: dict[Path, Entry] = {}
    contradicted: set[Path] = set()
    by_name = _files_by_name(table.parent)
    for row in _rows(table):
        entry = _entry(table, row, by_name)
        if isinstance(entry, Finding):
            skipped.append(entry)
        elif entry.path not in listed:
            listed[entry.path] = entry
        elif listed[entry.path] != entry:
            contradicted.add(entry.path)
        else:
            text = "It is listed twice, with the same label; it counts once."
            warnings.append(Finding(FindingKind.LISTED_TWICE, entry.path, text))
    several = any(len(entry.labels) > 1 for entry in listed.values())
    for path, entry in listed.items():
        if path in contradicted:
            text = (
                "It is listed twice, with different labels, patients or splits; correct the table."
            )
            skipped.append(Finding(FindingKind.SKIPPED, path, text))
        elif not entry.labels and not several:
            skipped.append(Finding(FindingKind.SKIPPED, path, "It has no label."))
        else:
            yield entry
    unlisted = [path for paths in by_name.values() for path in paths if path not in listed]
    if unlisted:
        text = (
            f"{len(unlisted)} files beside it are not listed, {unlisted[0].name} for one; "
            "they are not used."
        )
        warnings.append(Finding(FindingKind.UNLISTED, table, text))


def _entry(
    table: Path, row: Mapping[str, str], by_name: Mapping[str, list[Path]]
) -> Entry | Finding:
    """Return the bag of one row, or why it is skipped."""
    if not row["slide"]:
        cells = ", ".join(filter(None, row.values())) or "empty"
        return Finding(FindingKind.SKIPPED, table, f"A row without a slide: {cells}.")
    path = _resolve(table.parent, row["slide"], by_name)
    if isinstance(path, Finding):
        return path
    split = row["split"].lower()
    if split and split not in SPLITS:
        text = f"Its split is {row['split']!r}; train, validation and test are known."
        return Finding(FindingKind.SKIPPED, path, text)
    parts = (part.strip() for part in row["label"].split(LABEL_SEPARATOR))
    labels = tuple(dict.fromkeys(part for part in parts if part))
    return Entry(path, labels, row["patient"] or None, SPLITS.get(split))


def _rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table by the names of `COLUMNS`."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            text = file.read()
        delimiter = _delimiter(text.split("\n", 1)[0])
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = _columns(table, [name for name in reader.fieldnames or () if name])
        return [
            {
                column: (row.get(name) or "").strip() if name is not None else ""
                for column, name in columns.items()
            }
            for row in reader
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(
            f"{table.name} cannot be read as a table ({error}); save it as CSV in UTF-8."
        ) from error


def _delimiter(header: str) -> str:
    if "," in header:
        return ","
    return next((mark for mark in "\t;" if mark in header), ",")


def _columns(table: Path, header: list[str]) -> dict[str, str | None]:
    """Return the header's name of each column, or None."""
    plain = [name.strip().lower() for name in header]
    doubled = sorted(name for name, times in Counter(plain).items() if times > 1)
    if doubled:
        raise TrainingError(
            f"{table.name} has several columns named {doubled[0]!r}; leave one of them."
        )
    own_names = dict(zip(plain, header, strict=True))
    columns = {
        column: next((own_names[name] for name in names if name in own_names), None)
        for column, names in COLUMNS.items()
    }
    missing = [column for column in ("slide", "label") if columns[column] is None]
    if missing:
        raise TrainingError(
            f"{table.name} has no column {' and '.join(map(repr, missing))}; "
            "its first line names the columns: slide,label[,patient][,split]."
        )
    return columns


def _files_by_name(folder: Path) -> Mapping[str, list[Path]]:
    """Return the bags beside a table, by name without ending.

    Tables often leave the ending out.
    """
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        is_bag_file = path.suffix.lower() in BAG_ENDINGS and path.is_file()
        if is_bag_file or is_slide_folder(path):
            files[bag_name(path)].append(path)
    return files


def _resolve(folder: Path, name: str, by_name: Mapping[str, list[Path]]) -> Path | Finding:
    """Return the file that a table means, or why there is none.

    A relative path stays below the folder of the table.
    """
    path = folder / name

    def skip(text: str) -> Finding:
        return Finding(FindingKind.SKIPPED, path, text)

    if not Path(name).is_absolute() and not Path(os.path.normpath(path)).is_relative_to(folder):
        return skip(f"It lies outside the folder of {TABLE}; give an absolute path, or move it.")
    try:
        if path.exists():
            return path
    except OSError as error:
        return skip(f"No file can have this name ({error.strerror or error}).")
    candidates = by_name.get(name, [])
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(candidate.name for candidate in candidates)
        return skip(f"Several files have this name ({names}); add the ending.")
    return skip("There is no such file.")
