"""Tables of labelled bags: ``slide,label[,patient][,split]``."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.bag_files import BagFiles
from napari_mil.training.cohorts.labels import is_missing, look_like_a_measurement, spellings_of

COLUMNS = {
    "slide": (
        *("slide", "slideid", "slidename", "file", "filename", "filepath", "path", "bag", "bagid"),
        *("image", "imageid", "imagename"),
    ),
    "label": ("label", "labels", "class", "target", "diagnosis", "y"),
    "patient": ("patient", "patientid", "caseid", "case", "subject", "subjectid", "participant"),
    "split": ("split", "set", "partition"),
}
"""Names that each column of a table may have, in small letters without marks between them."""
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
    files = BagFiles(table.parent)
    cells = read_cells(table, COLUMNS, ("slide", "label"), warnings)
    rows = _with_one_spelling(table, cells, warnings)
    _say_missing_patients(table, rows, warnings)
    for row in rows:
        entry = _entry(table, row, files)
        if isinstance(entry, Finding):
            skipped.append(entry)
        elif entry.path not in listed:
            listed[entry.path] = entry
        elif listed[entry.path] != entry:
            contradicted.add(entry.path)
        else:
            text = "It is listed twice, with the same label; it counts once."
            warnings.append(Finding(FindingKind.LISTED_TWICE, entry.path, text))
    warnings += files.remarks(table)
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
    _refuse_measurements(table, listed.values())
    unlisted = [path for path in files.beside if path not in listed]
    if unlisted:
        text = (
            f"{len(unlisted)} files beside it are not listed, {unlisted[0].name} for one; "
            "they are not used."
        )
        warnings.append(Finding(FindingKind.UNLISTED, table, text))


def _with_one_spelling(
    table: Path, rows: list[dict[str, str]], warnings: list[Finding]
) -> list[dict[str, str]]:
    """Return the rows with one spelling for each class; what is merged is said."""
    spellings = spellings_of(label for row in rows for label in _labels(row["label"]))
    merged = {other: spelling.label for spelling in spellings for other in spelling.others}
    for spelling in spellings:
        others = ", ".join(map(repr, spelling.others))
        text = f"{others} is taken for {spelling.label!r}; they differ in spelling alone."
        warnings.append(Finding(FindingKind.SPELLING, table, text))
    return [{**row, "label": _respelled(row["label"], merged)} for row in rows]


def _respelled(cell: str, merged: Mapping[str, str]) -> str:
    """Return a cell of labels in the spellings that are used."""
    labels = _labels(cell)
    if not any(label in merged for label in labels):
        return cell
    return LABEL_SEPARATOR.join(merged.get(label, label) for label in labels)


def _say_missing_patients(table: Path, rows: list[dict[str, str]], warnings: list[Finding]) -> None:
    """Say once how many rows have no patient where others have one."""
    missing = sum(is_missing(row["patient"]) for row in rows)
    if 0 < missing < len(rows):
        text = f"{missing} of {len(rows)} rows name no patient; each counts as its own."
        warnings.append(Finding(FindingKind.MISSING, table, text))


def _refuse_measurements(table: Path, entries: Iterable[Entry]) -> None:
    """Refuse numbers that are no classes.

    Raises
    ------
    TrainingError
        If labels look like a measurement.
    """
    labels = [entry.labels[0] for entry in entries if len(entry.labels) == 1]
    if look_like_a_measurement(labels):
        raise TrainingError(
            f"{table.name}: {len(set(labels))} different numbers in {len(labels)} bags look like a "
            "measurement; cut them into classes, for example low and high, in the column of labels."
        )


def _labels(cell: str) -> list[str]:
    """Return the labels of a cell; those that are not known are none."""
    parts = (part.strip() for part in cell.split(LABEL_SEPARATOR))
    return list(dict.fromkeys(part for part in parts if not is_missing(part)))


def _entry(table: Path, row: Mapping[str, str], files: BagFiles) -> Entry | Finding:
    """Return the bag of one row, or why it is skipped."""
    if not row["slide"]:
        cells = ", ".join(filter(None, row.values())) or "empty"
        return Finding(FindingKind.SKIPPED, table, f"A row without a slide: {cells}.")
    path = files.find(row["slide"])
    if isinstance(path, Finding):
        return path
    split = row["split"].lower()
    if split and split not in SPLITS:
        text = f"Its split is {row['split']!r}; train, validation and test are known."
        return Finding(FindingKind.SKIPPED, path, text)
    if row["label"] and is_missing(row["label"]):
        text = f"Its label is {row['label']!r}, which says that it is not known."
        return Finding(FindingKind.SKIPPED, path, text)
    patient = None if is_missing(row["patient"]) else row["patient"]
    return Entry(path, tuple(_labels(row["label"])), patient, SPLITS.get(split))


def _text_of(table: Path, warnings: list[Finding]) -> str:
    """Return the text of a table in UTF-8, UTF-16 or, as a last resort, Windows-1252.

    Raises
    ------
    TrainingError
        If it cannot be read, or is no text.
    """
    try:
        content = table.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            if b"\0" in content:
                raise
            text = content.decode("cp1252")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(table, error) from error
    words = "It is not in UTF-8 and was read as Windows-1252; check letters with accents."
    warnings.append(Finding(FindingKind.ENCODING, table, words))
    return text


def _unreadable(table: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{table.name} cannot be read as a table ({error}); save it as CSV in UTF-8."
    )


def read_cells(
    table: Path,
    names: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    warnings: list[Finding],
) -> list[dict[str, str]]:
    """Return the cells of a table by column, without blanks around them.

    Parameters
    ----------
    table
        Text in columns; its first line names them.
    names
        Names that each column may have; see `COLUMNS`. A column that is not there is empty.
    needed
        Columns that must be there.
    warnings
        Gets what is odd about the file.

    Raises
    ------
    TrainingError
        If it cannot be read, or a column is missing or stands there twice.
    """
    header, rows = read_rows(table, warnings)
    columns = _columns(table, header, names, needed)
    return [
        {column: row[name] if name is not None else "" for column, name in columns.items()}
        for row in rows
    ]


def read_rows(table: Path, warnings: list[Finding]) -> tuple[list[str], list[dict[str, str]]]:
    """Return the names of all columns and the rows, cells without blanks around them.

    Parameters
    ----------
    table
        Text in columns; its first line names them.
    warnings
        Gets what is odd about the file.

    Raises
    ------
    TrainingError
        If it cannot be read.
    """
    text = _text_of(table, warnings).lstrip()
    try:
        delimiter = _delimiter(text.split("\n", 1)[0])
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        header = [name for name in reader.fieldnames or () if name]
        return header, [{name: (row.get(name) or "").strip() for name in header} for row in reader]
    except csv.Error as error:
        raise _unreadable(table, error) from error


def plain_name(column: str) -> str:
    """Return the name of a column as it is compared: small letters without marks."""
    return re.sub(r"[\W_]", "", column).lower()


def _delimiter(header: str) -> str:
    if "," in header:
        return ","
    return next((mark for mark in "\t;" if mark in header), ",")


def _columns(
    table: Path,
    header: list[str],
    names: Mapping[str, Sequence[str]],
    needed: Sequence[str],
) -> dict[str, str | None]:
    """Return the header's name of each column, or None."""
    plain = [plain_name(name) for name in header]
    doubled = sorted(name for name, times in Counter(plain).items() if times > 1)
    if doubled:
        raise TrainingError(
            f"{table.name} has several columns named {doubled[0]!r}; leave one of them."
        )
    own_names = dict(zip(plain, header, strict=True))
    columns = {
        column: next((own_names[name] for name in possible if name in own_names), None)
        for column, possible in names.items()
    }
    missing = [column for column in needed if columns[column] is None]
    if missing:
        optional = "".join(f"[,{column}]" for column in names if column not in needed)
        raise TrainingError(
            f"{table.name} has no column {' and '.join(map(repr, missing))}; "
            f"its first line names the columns: {','.join(needed)}{optional}."
        )
    return columns
