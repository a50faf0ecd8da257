"""Where the table of an annotated folder lies, however it is called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.cohort import TABLE
from napari_mil.training.cohorts.tables.columns import COLUMNS, plain_name
from napari_mil.training.cohorts.tables.text import read_rows

OTHER_NAMES = ("labels.tsv", "labels.csv.txt", "labels.txt")
"""Other names that a table may have, in small letters, the first that is there first."""
SPREADSHEETS = ("labels.xlsx", "labels.xls", "labels.ods", "labels.numbers")
"""Names of spreadsheets, which are not read, in small letters."""
SAYS_ITSELF = "labels.txt"
"""A name that lists of classes have too: it is a table where its columns say so."""


def table_in(folder: Path) -> Path | None:
    """Return the table of labels in a folder, or None.

    ``labels.csv`` comes first; then the same name in another case, as ``.tsv`` or ``.txt``.

    Raises
    ------
    TrainingError
        If several tables differ in the case of their names alone.
    """
    if not folder.is_dir():
        return None
    if (folder / TABLE).is_file():
        return folder / TABLE
    files = _files_of(folder, (TABLE, *OTHER_NAMES))
    for name in (TABLE, *OTHER_NAMES):
        found = [path for path in files[name] if name != SAYS_ITSELF or _is_table(path)]
        if len(found) > 1:
            raise TrainingError(
                f"{folder.name} holds {' and '.join(path.name for path in found)}; leave one of "
                f"them, as {TABLE}."
            )
        if found:
            return found[0]
    return None


def spreadsheet_said(folder: Path, has_bags: bool) -> Iterator[Finding]:
    """Yield a finding on labels that lie in a file that is not read.

    Raises
    ------
    TrainingError
        If there are no folders of classes either.
    """
    files = _files_of(folder, SPREADSHEETS)
    path = next((path for name in SPREADSHEETS for path in files[name]), None)
    if path is None:
        return
    remedy = f"save it as {TABLE} (CSV in UTF-8)"
    if not has_bags:
        raise TrainingError(f"{path.name} in {folder.name} is a spreadsheet; {remedy}.")
    text = f"It is a spreadsheet, which is not read; {remedy} if its labels should count."
    yield Finding(FindingKind.SKIPPED, path, text)


def _files_of(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Return the files in a folder by their names in small letters."""
    files: dict[str, list[Path]] = {name: [] for name in names}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower() in files and entry.is_file():
                files[entry.name.lower()].append(Path(entry.path))
    return {name: sorted(paths) for name, paths in files.items()}


def _is_table(path: Path) -> bool:
    """Say whether a text has the columns of a table of labels."""
    try:
        header, _ = read_rows(path, [])
    except NapariMilError:
        return False
    columns = set(map(plain_name, header))
    return all(columns & set(COLUMNS[column]) for column in ("slide", "label"))
