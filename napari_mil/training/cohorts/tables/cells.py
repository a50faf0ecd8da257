"""Cells of a table by the columns that are wanted of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.spellings import key_of
from napari_mil.training.cohorts.tables.columns import plain_name
from napari_mil.training.cohorts.tables.measurements import look_like_a_measurement
from napari_mil.training.cohorts.tables.text import TextRow, TextTable, read_text_table


@dataclass(frozen=True, slots=True)
class NamedCells:
    """Cells of the wanted columns of a table."""

    rows: tuple[Mapping[str, str], ...]
    """Cells by column; a column that the table lacks is empty."""
    longer: tuple[Mapping[str, str], ...] = ()
    """Rows with more cells than the header, of which it cannot be told whose cell is whose."""
    longer_words: str = ""
    """How many these are, the first of them and what to do, without a full stop."""


def read_cells(
    table: Path,
    names: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    warnings: list[Finding],
) -> NamedCells:
    """Return the cells of a table by column, without blanks around them.

    Parameters
    ----------
    table
        Text in columns; its first line names them.
    names
        Names that each column may have; see `COLUMNS`.
    needed
        Columns that must be there.
    warnings
        Gets what is odd about the file.

    Raises
    ------
    TrainingError
        If it cannot be read, or a column is missing or stands there twice.
    """
    found = read_text_table(table, warnings)
    optional = "".join(f"[,{column}]" for column in names if column not in needed)
    first_line = f"first line names the columns: {','.join(needed)}{optional}"
    if not any(found.header):
        raise TrainingError(f"{table.name} is empty; its {first_line}.")
    places = {column: _places(found, possible) for column, possible in names.items()}
    missing = [column for column in needed if not places[column]]
    if missing:
        raise TrainingError(
            f"{table.name} has no column {' and '.join(map(repr, missing))}; its {first_line}."
        )
    for column, of_column in places.items():
        if of_column:
            _refuse_doubled(found, of_column[0])
            found.refuse_swallowed_rows(of_column[0])
        if column != "slide":
            warnings += _unused(found, of_column)
    return NamedCells(
        rows=tuple(_named(row, places) for row in found.rows if not row.surplus),
        longer=tuple(_named(row, places) for row in found.longer),
        longer_words=found.longer_words,
    )


def _named(row: TextRow, places: Mapping[str, Sequence[int]]) -> dict[str, str]:
    return {
        column: row.cells[of_column[0]] if of_column else "" for column, of_column in places.items()
    }


def _places(table: TextTable, possible: Sequence[str]) -> list[int]:
    """Return the places of the columns with one of some names, the first of these first."""
    plain = [plain_name(name) for name in table.header]
    return [plain.index(name) for name in possible if name in plain]


def _refuse_doubled(table: TextTable, place: int) -> None:
    own = plain_name(table.header[place])
    if [plain_name(name) for name in table.header].count(own) > 1:
        raise TrainingError(
            f"{table.path.name} has several columns named {own!r}; leave one of them."
        )


def _unused(table: TextTable, places: Sequence[int]) -> list[Finding]:
    """Name columns that could have been used too and say otherwise."""
    if not places:
        return []
    used, *others = places
    differing = [
        table.header[other]
        for other in others
        if _say_otherwise([(row.cells[used], row.cells[other]) for row in table.rows])
    ]
    if not differing:
        return []
    text = (
        f"The column {table.header[used]!r} is used, not {' or '.join(map(repr, differing))}, "
        "which says otherwise."
    )
    return [Finding(FindingKind.COLUMN, table.path, text)]


def _say_otherwise(cells: Sequence[tuple[str, str]]) -> bool:
    """Say whether two columns tell rows apart otherwise, and are of one kind."""
    pairs = {(key_of(one), key_of(other)) for one, other in cells}
    ones, others = ({pair[k] for pair in pairs} for k in (0, 1))
    # 0 and 1 beside normal and tumor say the same.
    is_renamed = len(pairs) == len(ones) == len(others) and not ones & others
    is_renamed |= all(one == other for one, other in pairs)
    return not is_renamed and not look_like_a_measurement([other for _, other in cells])
