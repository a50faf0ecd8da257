"""Tables of labelled bags: ``slide,label[,patient][,split]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.folders.bag_files import BagFiles
from napari_mil.training.cohorts.folders.patients import bags_in_folder
from napari_mil.training.cohorts.labels import is_minus, is_missing, minus_is_a_class
from napari_mil.training.cohorts.patients import barcode_of
from napari_mil.training.cohorts.spellings import (
    label_findings,
    patient_findings,
    spellings_of,
    used_spellings,
)
from napari_mil.training.cohorts.tables.cells import NamedCells, read_cells
from napari_mil.training.cohorts.tables.columns import COLUMNS, plain_name
from napari_mil.training.cohorts.tables.measurements import NoClasses, why_no_classes

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
    "heldout": "test",
}
"""Names that each split may have, in small letters without marks between them."""
LABEL_SEPARATOR = ";"
"""Character between several labels of one bag."""
NO_CLASSES = {
    NoClasses.MEASUREMENT: "different numbers in {bags} bags look like a measurement; cut them "
    "into classes, for example low and high, in the column of labels",
    NoClasses.DATES: "different dates in {bags} bags are no classes; name a class for each bag in "
    "the column of labels",
    NoClasses.SINGLE_BAGS: "different labels in {bags} bags, most of them of a single bag, are no "
    "classes; name a class of several bags for each in the column of labels",
}
"""Why labels are refused, behind their number."""


@dataclass(frozen=True)
class Entry:
    """A bag that a folder or a table lists."""

    path: Path
    labels: tuple[str, ...]
    patient: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class _Row:
    """A row as it is understood."""

    cells: Mapping[str, str]
    labels: tuple[str, ...]
    patient: str | None

    @property
    def says_unknown(self) -> bool:
        """Whether the cell of labels says that they are not known."""
        parts = _parts(self.cells["label"])
        return not self.labels and any(part and is_missing(part) for part in parts)


Labelled = TypeVar("Labelled", Entry, _Row)
"""What has labels and a patient."""


def read_table(table: Path, skipped: list[Finding], warnings: list[Finding]) -> Iterator[Entry]:
    """Yield the bags that a table lists.

    Rows that cannot be used go to `skipped`, oddities to `warnings`.

    Raises
    ------
    TrainingError
        If the table cannot be understood.
    """
    files = BagFiles(table.parent)
    cells = read_cells(table, COLUMNS, ("slide", "label"), warnings)
    found = _Listed(table, files)
    for row in _understood(table, cells, warnings):
        found.take(row, skipped, warnings)
    found.pass_over(cells, skipped)
    warnings += files.remarks(table)
    entries = found.usable(skipped)
    _say_several_labels(table, entries, warnings)
    _refuse_no_classes(table, entries)
    found.warn_of_unlisted(warnings)
    yield from entries


class _Listed:
    """Bags that the rows of a table name.

    Parameters
    ----------
    table
        The table.
    files
        Files that it may name.
    """

    def __init__(self, table: Path, files: BagFiles) -> None:
        self._table = table
        self._files = files
        self._entries: dict[Path, Entry] = {}
        self._contradicted: set[Path] = set()
        self._named: set[Path] = set()

    def take(self, row: _Row, skipped: list[Finding], warnings: list[Finding]) -> None:
        """Take the bag of a row; why it is not used goes to `skipped`."""
        entry = self._entry(row)
        if isinstance(entry, Finding):
            skipped.append(entry)
        elif entry.path not in self._entries:
            self._entries[entry.path] = entry
        elif self._entries[entry.path] != entry:
            self._contradicted.add(entry.path)
        else:
            text = "It is listed twice, with the same label; it counts once."
            warnings.append(Finding(FindingKind.LISTED_TWICE, entry.path, text))

    def _entry(self, row: _Row) -> Entry | Finding:
        """Return the bag of one row, or why it is skipped."""
        cells = row.cells
        if not cells["slide"]:
            words = ", ".join(filter(None, cells.values())) or "empty"
            return Finding(FindingKind.SKIPPED, self._table, f"A row without a slide: {words}.")
        path = self._files.find(cells["slide"])
        if isinstance(path, Finding):
            return path
        self._named.add(path)
        inside = bags_in_folder(path, []) if path.is_dir() else []
        if inside:
            text = (
                f"It holds slides or feature files, {inside[0].name} for one; list each by its "
                "path, with a column patient."
            )
            return Finding(FindingKind.SKIPPED, path, text)
        split = None if is_missing(cells["split"]) else cells["split"]
        if split is not None and plain_name(split) not in SPLITS:
            text = f"Its split is {split!r}; train, validation and test are known."
            return Finding(FindingKind.SKIPPED, path, text)
        if row.says_unknown:
            text = f"Its label is {cells['label']!r}, which says that it is not known."
            return Finding(FindingKind.SKIPPED, path, text)
        known_split = None if split is None else SPLITS[plain_name(split)]
        return Entry(path, row.labels, row.patient, known_split)

    def pass_over(self, cells: NamedCells, skipped: list[Finding]) -> None:
        """Leave out the rows that are longer than the header."""
        if not cells.longer:
            return
        named = (self._files.find(row["slide"]) for row in cells.longer if row["slide"])
        self._named.update(path for path in named if isinstance(path, Path))
        text = f"{cells.longer_words}."
        skipped.append(Finding(FindingKind.SKIPPED, self._table, text, len(cells.longer)))

    def usable(self, skipped: list[Finding]) -> list[Entry]:
        """Return the bags that can be used; why others cannot goes to `skipped`."""
        usable = []
        several = any(len(entry.labels) > 1 for entry in self._entries.values())
        for path, entry in self._entries.items():
            if path in self._contradicted:
                text = (
                    "It is listed twice, with different labels, patients or splits; "
                    "correct the table."
                )
                skipped.append(Finding(FindingKind.SKIPPED, path, text))
            elif not entry.labels and not several:
                skipped.append(Finding(FindingKind.SKIPPED, path, "It has no label."))
            else:
                usable.append(entry)
        return usable

    def warn_of_unlisted(self, warnings: list[Finding]) -> None:
        """Say how many files beside the table it does not name."""
        unlisted = [path for path in self._files.beside if path not in self._named]
        if unlisted:
            text = (
                f"{len(unlisted)} files beside it are not listed, {unlisted[0].name} for one; "
                "they are not used."
            )
            warnings.append(Finding(FindingKind.UNLISTED, self._table, text))


def _understood(table: Path, cells: NamedCells, warnings: list[Finding]) -> list[_Row]:
    """Return the rows with one spelling for each class and patient; what is merged is said."""
    written = [row["label"] for row in cells.rows]
    has_minus = minus_is_a_class(label for cell in written for label in _parts(cell))
    rows = [
        _Row(row, _labels(row["label"], has_minus=has_minus), _patient(row["patient"]))
        for row in cells.rows
    ]
    missing = sum(row.patient is None for row in rows)
    if 0 < missing < len(rows):
        text = f"{missing} of {len(rows)} rows name no patient; each counts as its own."
        warnings.append(Finding(FindingKind.MISSING, table, text))
    return with_one_spelling(table, rows, warnings)


def with_one_spelling(
    source: Path, entries: Sequence[Labelled], warnings: list[Finding]
) -> list[Labelled]:
    """Return bags with one spelling for each class and patient; what is merged is said."""
    labels = spellings_of(label for entry in entries for label in entry.labels)
    patients = spellings_of(entry.patient for entry in entries if entry.patient is not None)
    warnings += label_findings(source, labels)
    warnings += patient_findings(source, patients)
    used_labels = used_spellings(labels)
    used_patients = used_spellings(patients)
    return [
        replace(
            entry,
            labels=tuple(dict.fromkeys(used_labels.get(label, label) for label in entry.labels)),
            patient=entry.patient and used_patients.get(entry.patient, entry.patient),
        )
        for entry in entries
    ]


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(LABEL_SEPARATOR)]


def _labels(cell: str, *, has_minus: bool) -> tuple[str, ...]:
    """Return the labels of a cell; those that are not known are none."""
    parts = dict.fromkeys(_parts(cell))
    return tuple(part for part in parts if not is_missing(part) or (has_minus and is_minus(part)))


def _patient(cell: str) -> str | None:
    """Return the patient of a cell; of a TCGA barcode, however long, its first three parts."""
    return None if is_missing(cell) else barcode_of(Path(cell)) or cell


def _say_several_labels(table: Path, entries: Sequence[Entry], warnings: list[Finding]) -> None:
    """Say how many bags have several labels, since one is enough to change what classes are."""
    several = [entry for entry in entries if len(entry.labels) > 1]
    if several:
        first = f"{several[0].path.name}: {LABEL_SEPARATOR.join(several[0].labels)}"
        text = (
            f"{len(several)} of {len(entries)} bags have several labels ({first}); "
            "every class is therefore a yes or no of its own."
        )
        warnings.append(Finding(FindingKind.SEVERAL_LABELS, table, text, len(several)))


def _refuse_no_classes(table: Path, entries: Sequence[Entry]) -> None:
    """Refuse measurements, dates and names of single bags as classes.

    Raises
    ------
    TrainingError
        If the labels are no classes.
    """
    labels = [entry.labels[0] for entry in entries if len(entry.labels) == 1]
    why = why_no_classes(labels)
    if why is None or (why is NoClasses.SINGLE_BAGS and len(labels) < len(entries)):
        return
    words = NO_CLASSES[why].format(bags=len(labels))
    raise TrainingError(f"{table.name}: {len(set(labels))} {words}.")
