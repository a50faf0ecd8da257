"""Folds that a table gives: of another evaluation, or a column of the cohort's own table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.folders.bag_files import BagFiles
from napari_mil.training.cohorts.labels import is_missing
from napari_mil.training.cohorts.spellings import key_of
from napari_mil.training.cohorts.tables.cells import NamedCells, read_cells
from napari_mil.training.cohorts.tables.columns import COLUMNS
from napari_mil.training.cohorts.tables.finding import table_in

if TYPE_CHECKING:
    from napari_mil.training.evaluation.answers import Answers

FOLD, REPEAT = "fold", "repeat"
NAMES = {"bag": COLUMNS["slide"], FOLD: ("fold",), REPEAT: ("repeat",)}
"""Names that each column may have; see `COLUMNS`."""


@dataclass(frozen=True)
class _Row:
    """Fold of one bag in one repeat, as written."""

    bag: str
    repeat: str
    fold: str


@dataclass(frozen=True)
class GivenFolds:
    """Folds of bags by name."""

    source: Path
    """File they come from."""
    rows: tuple[_Row, ...]
    is_own: bool = False
    """Whether it is the cohort's own table, which may name bags that are not used."""

    def check(self, cohort: Cohort) -> None:
        """Refuse folds of other bags.

        Raises
        ------
        TrainingError
            If a bag is not in the cohort.
        """
        if self.is_own:
            return
        known = _numbers(cohort, self.rows)
        unknown = [bag for bag in dict.fromkeys(row.bag for row in self.rows) if bag not in known]
        if unknown:
            raise TrainingError(
                f"{self.source.name} gives folds to {_count(unknown, 'bag')} that "
                f"{cohort.root.name} lacks ({unknown[0]} for one); "
                "give the folds of an evaluation of these bags."
            )

    def fold_of(self, cohort: Cohort) -> np.ndarray:
        """Return the fold of each bag in each repeat, int (R, B), counted from 0.

        Raises
        ------
        TrainingError
            If a bag has no fold or two of them, a patient stands in several, or there is one only.
        """
        numbers = _numbers(cohort, self.rows)
        folds = {name: k for k, name in enumerate(_sorted(row.fold for row in self.rows))}
        repeats = {name: k for k, name in enumerate(_sorted(row.repeat for row in self.rows))}
        fold_of = np.full((max(1, len(repeats)), len(cohort)), -1)
        for row in self.rows:
            b = numbers.get(row.bag)
            if b is None:
                continue
            place = (repeats[row.repeat], b)
            if fold_of[place] not in (-1, folds[row.fold]):
                raise TrainingError(
                    f"{self.source.name} puts {row.bag} into several folds of one repeat; "
                    "every bag is tested once."
                )
            fold_of[place] = folds[row.fold]
        self._check_complete(cohort, fold_of)
        self._check_groups(cohort, fold_of)
        return fold_of

    def _check_complete(self, cohort: Cohort, fold_of: np.ndarray) -> None:
        missing = np.flatnonzero((fold_of < 0).any(0))
        if len(missing):
            first = cohort.bags[missing[0]].path.name
            raise TrainingError(
                f"{self.source.name} gives no fold to {_count(missing, 'bag')} of "
                f"{cohort.root.name} ({first} for one); every bag needs one in each repeat."
            )
        if any(len(np.unique(of_repeat)) < 2 for of_repeat in fold_of):
            raise TrainingError(
                f"{self.source.name} gives one fold only; a cross-validation needs at least 2."
            )

    def _check_groups(self, cohort: Cohort, fold_of: np.ndarray) -> None:
        """Refuse folds that tear a patient, or copies of a bag, apart."""
        first: dict[str, int] = {}
        for b, group in enumerate(cohort.groups):
            earlier = first.setdefault(group, b)
            if (fold_of[:, b] != fold_of[:, earlier]).any():
                one = cohort.bags[earlier].path.name
                other = cohort.bags[b].path.name
                raise TrainingError(
                    f"{self.source.name} puts {one} and {other} into different folds, which are "
                    f"of one patient ({cohort.bags[b].patient}) or copies; keep them together."
                )


def read_folds(path: Path) -> GivenFolds:
    """Read folds from ``predictions.csv``, ``folds.csv`` or a table like these.

    Its columns are ``bag`` (or what a cohort's table calls it), ``fold`` and, of several repeats,
    ``repeat``.

    Raises
    ------
    TrainingError
        If it cannot be read, or has no such columns.
    """
    cells = read_cells(path, NAMES, ("bag", FOLD), [])
    if cells.longer:
        raise TrainingError(f"{path.name}: {cells.longer_words}.")
    rows = _rows_of(cells)
    if not rows:
        raise TrainingError(f"{path.name} gives no folds; it may be of a score, which has none.")
    return GivenFolds(path, rows)


def folds_of_table(cohort: Cohort) -> GivenFolds | None:
    """Return the folds that the cohort's own table gives, or None where it gives none.

    Raises
    ------
    TrainingError
        If the table cannot be read.
    """
    source = cohort.source or cohort.root
    table = source if source.is_file() else table_in(source)
    if table is None:
        return None
    rows = _rows_of(read_cells(table, NAMES, (), []))
    return GivenFolds(table, rows, is_own=True) if rows else None


def folds_text(answers: Answers) -> str:
    """Return the content of ``folds.csv``: the fold in which each bag was tested."""
    assert answers.fold_of is not None
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("bag", "patient", REPEAT, FOLD))
    for repeat, of_repeat in enumerate(answers.fold_of.tolist()):
        for bag, fold in zip(answers.bags, of_repeat, strict=True):
            writer.writerow((bag.path, bag.patient, repeat, fold))
    return file.getvalue()


def _rows_of(cells: NamedCells) -> tuple[_Row, ...]:
    """Return the rows that have a fold, folds and repeats in one spelling."""
    return tuple(
        _Row(row["bag"], _number(row[REPEAT]), _number(row[FOLD]))
        for row in cells.rows
        if not is_missing(row[FOLD])
    )


def _number(cell: str) -> str:
    """Return what a fold or a repeat is compared by: 1 and 1.0 are one."""
    return "" if is_missing(cell) else key_of(cell)


def _numbers(cohort: Cohort, rows: tuple[_Row, ...]) -> dict[str, int]:
    """Return the numbers of the bags by the names that rows have for them."""
    place = {bag.path: b for b, bag in enumerate(cohort.bags)}
    files = BagFiles(cohort.root)
    found = {name: files.find(name) for name in {row.bag for row in rows}}
    return {
        name: place[path]
        for name, path in found.items()
        if isinstance(path, Path) and path in place
    }


def _sorted(names: Iterable[str]) -> list[str]:
    """Return different names, numbers by their size."""
    different = set(names)
    if all(name.isdecimal() for name in different):
        return sorted(different, key=int)
    return sorted(different)


def _count(things: Sized, noun: str) -> str:
    n = len(things)
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
