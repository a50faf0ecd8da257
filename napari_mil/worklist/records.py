"""Table of a worklist, ``worklist.csv``: states, answers and notes of its slides."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mil.bags.names import bag_name
from napari_mil.errors import OutputError
from napari_mil.files import whole_or_nothing
from napari_mil.inference.stored_results import StoredResult
from napari_mil.training.cohorts.tables.text import read_rows

WORKLIST_FILE = "worklist.csv"
PATH, STATE, CLASS, PROBABILITY, UNLIKE = "path", "state", "class", "probability", "unlike"
NOTE, REASON, CLASSIFIER, FOLDER = "note", "reason", "classifier", "folder"
ZARR_SLIDE = ".ome.zarr"
"""Ending of a slide that is a folder, which its results do not have."""
OWN_COLUMNS = (PATH, STATE, CLASS, PROBABILITY, UNLIKE, NOTE, REASON, CLASSIFIER, FOLDER)
"""Columns of the table that every worklist has."""
CLASS_PREFIX = "probability of "
"""Beginning of the columns that hold the probability of a class."""
FAILED = "failed"
"""Entry of the column of states where the last run of a slide failed."""


@dataclass(frozen=True)
class Record:
    """What the table says of one slide or bag, apart from its answer."""

    name: str
    path: Path | None
    note: str = ""
    failure: str = ""
    """Why its last run failed, in one sentence."""
    classifier: str = ""
    """Name of the classifier that answered or failed."""
    folder: str = ""
    """Name of its folder of results."""
    cells: tuple[str, ...] = ()
    """Texts in the columns that the worklist does not fill itself."""


@dataclass(frozen=True)
class Records:
    """All rows of a table."""

    records: tuple[Record, ...] = ()
    columns: tuple[str, ...] = ()
    """Columns that the worklist does not fill itself."""

    def find(self, name: str, path: Path | None, result: StoredResult | None) -> Record | None:
        """Return what was noted of a slide or bag, by its path, its results, or its name.

        The name counts where a slide was moved: nothing is at its path of before any more.
        """
        if path is not None:
            for record in self.records:
                if record.path == path:
                    return record
        if result is not None:
            by_folder = (each for each in self.records if each.folder == result.folder.name)
            return next(by_folder, None)
        namesakes = [record for record in self.records if record.name == name]
        is_moved = len(namesakes) == 1 and not _is_there(namesakes[0].path)
        return namesakes[0] if is_moved else None


@dataclass(frozen=True)
class TableRow:
    """One row of the table as it is written."""

    record: Record
    state: str
    labels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    unlike: float | None = None

    @property
    def probability(self) -> float | None:
        """Probability of the predicted class; None without an answer, or with several classes."""
        return probability_of(self.labels, self.classes, self.probabilities)


def probability_of(
    labels: Sequence[str], classes: Sequence[str], probabilities: Sequence[float]
) -> float | None:
    """Return the probability of the predicted class, or None unless there is one."""
    if len(labels) != 1 or labels[0] not in classes:
        return None
    return probabilities[list(classes).index(labels[0])]


def read_records(out: Path) -> Records:
    """Read the table in a folder of results; without one there is nothing.

    Raises
    ------
    NapariMilError
        If it cannot be read.
    """
    table = out / WORKLIST_FILE
    if not table.exists():
        return Records()
    header, rows = read_rows(table, [])
    missing = [name for name in (PATH, NOTE) if name not in header]
    if missing:
        raise OutputError(
            f"{table} has no column {missing[0]!r}, so its notes cannot be read; "
            "correct its first line, or move the file away."
        )
    others = [
        name for name in header if name not in OWN_COLUMNS and not name.startswith(CLASS_PREFIX)
    ]
    return Records(tuple(_record(row, others) for row in rows if row[PATH]), tuple(others))


def _record(row: dict[str, str], others: Sequence[str]) -> Record:
    path = Path(row[PATH])
    is_known = path.is_absolute()
    return Record(
        name=item_name(path) if is_known else row[PATH],
        path=path if is_known else None,
        note=row[NOTE],
        failure=row.get(REASON, "") if row.get(STATE) == FAILED else "",
        classifier=row.get(CLASSIFIER, ""),
        folder=row.get(FOLDER, ""),
        cells=tuple(row[name] for name in others),
    )


def write_table(out: Path, rows: Sequence[TableRow], columns: Sequence[str] = ()) -> Path:
    """Write the table of a worklist, whole or not at all.

    Parameters
    ----------
    out
        Folder of results, made if need be.
    rows
        What is known of each slide or bag.
    columns
        Names of the columns that `Record.cells` fill.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    OutputError
        If it cannot be written; the one of before is untouched then.
    """
    classes = list(dict.fromkeys(name for row in rows for name in row.classes))
    header = [*OWN_COLUMNS[:6], *(f"{CLASS_PREFIX}{name}" for name in classes), *columns]
    header += [REASON, CLASSIFIER, FOLDER]
    table = out / WORKLIST_FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        with whole_or_nothing(table) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header)
            writer.writeheader()
            for row in rows:
                writer.writerow(_cells(row, columns))
    except OSError as error:
        raise OutputError(
            f"{table} cannot be written ({error.strerror or error}); choose another folder."
        ) from error
    return table


def _cells(row: TableRow, columns: Sequence[str]) -> dict[str, str]:
    record = row.record
    probability = row.probability
    probabilities = zip(row.classes, row.probabilities, strict=True)
    return {
        PATH: str(record.path) if record.path is not None else record.name,
        STATE: row.state,
        CLASS: ";".join(row.labels),
        PROBABILITY: "" if probability is None else repr(probability),
        UNLIKE: "" if row.unlike is None else repr(row.unlike),
        NOTE: record.note,
        **{f"{CLASS_PREFIX}{name}": repr(value) for name, value in probabilities},
        **dict(zip(columns, record.cells, strict=False)),
        REASON: record.failure,
        CLASSIFIER: record.classifier,
        FOLDER: record.folder,
    }


def free_column(name: str) -> str:
    """Return the name of another table's column, told apart from the worklist's own."""
    is_taken = name in OWN_COLUMNS or name.startswith(CLASS_PREFIX)
    return f"{name} (table)" if is_taken else name


def item_name(path: Path, is_folder: bool | None = None) -> str:
    """Return the name that a slide or bag has in its results; see `bag_name`."""
    return bag_name(path, is_folder).removesuffix(ZARR_SLIDE)


def _is_there(path: Path | None) -> bool:
    return path is not None and path.exists()
