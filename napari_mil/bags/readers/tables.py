"""Reader of tables of features: a row per instance, as dsmil-wsi writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.bags.readers.stored import PixelSide, Positions, Side, Stored, Unit
from napari_mil.errors import BagError, short_cause

POSITION_COLUMNS = (
    ("x", "y", Unit.LEVEL0),
    ("tile_x", "tile_y", Unit.LEVEL0),
    ("coord_x", "coord_y", Unit.LEVEL0),
    ("coords_x", "coords_y", Unit.LEVEL0),
    ("loc_x", "loc_y", Unit.LEVEL0),
    ("x_um", "y_um", Unit.MICROMETRES),
)
"""Pairs of columns that hold positions."""
SIZE_COLUMNS = ("width", "height", "tile_size", "patch_size_level0", "tile_size0")
"""Columns that hold the side of a tile in level-0 pixels."""
OWN_RESULTS = frozenset({"attention", "similarity"})
"""Columns by which a table of results is told from one of features."""
INDEX_NAMES = ("", "index", "unnamed: 0", "tile_id", "instance")
"""Names of columns that only count rows."""
FEWEST_FEATURES = 2
"""Columns of features in a table at least."""
FEWEST_COLUMNS = 3
"""Columns of a table at least: two alone are rather outlines or points."""
SNIFFED_ROWS = 5
"""Rows that are looked at."""
START = 1 << 20
"""Bytes that are looked at: several rows of thousands of columns."""


@dataclass(frozen=True)
class Layout:
    """Columns of a table."""

    delimiter: str
    has_header: bool
    features: tuple[int, ...]
    position: tuple[int, int] | None = None
    unit: Unit = Unit.LEVEL0
    size: int | None = None

    @property
    def has_decimal_comma(self) -> bool:
        """Whether numbers may be written with a comma."""
        return self.delimiter != ","


def is_table(start: bytes) -> bool:
    """Say whether bytes are the start of a table of features."""
    return _layout_of(start) is not None


def read(path: Path) -> Stored:
    """Read a table of features."""
    layout = _layout(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = (line.replace(",", ".") for line in file) if layout.has_decimal_comma else file
            # Quotes are dropped by `numpy.loadtxt` alone.
            matrix = np.loadtxt(
                lines,
                delimiter=layout.delimiter,
                skiprows=int(layout.has_header),
                ndmin=2,
                comments=None,
                quotechar='"',
            )
    except (OSError, ValueError, UnicodeDecodeError, MemoryError) as error:
        raise BagError(
            f"{path.name} holds cells that are no numbers ({short_cause(error, 120)}); "
            "extract its features again."
        ) from error
    positions = None
    if layout.position is not None:
        side: Side | None = None
        if layout.size is not None and len(matrix):
            side = PixelSide(float(np.median(matrix[:, layout.size])))
        positions = Positions(matrix[:, layout.position], path, layout.unit, side=side)
    return Stored(matrix[:, layout.features], positions)


def shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape of the bag from the rows and the columns of features."""
    layout = _layout(path)
    with path.open("rb") as file:
        n_lines = sum(1 for line in file if line.strip())
    return n_lines - int(layout.has_header), len(layout.features)


def _layout(path: Path) -> Layout:
    """Return the columns of a table.

    Raises
    ------
    BagError
        If it is no table of features.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise BagError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    layout = _layout_of(start)
    if layout is None:
        raise BagError(
            f"{path.name} is no table of features: a row of numbers per instance is expected."
        )
    return layout


def _layout_of(start: bytes) -> Layout | None:
    """Recognise the columns by the first rows, or return None."""
    if b"\0" in start:
        return None
    text = start.decode("utf-8-sig", "replace")
    if "�" in text[:-4]:
        return None
    lines = text.splitlines()
    # Of a longer file, the last line is cut short.
    whole = lines[:-1] if len(start) == START else lines
    for delimiter in (";", "\t", ","):
        rows = list(_rows(whole[: SNIFFED_ROWS + 1], delimiter))
        layout = _layout_of_rows(rows, delimiter)
        if layout is not None:
            return layout
    return None


def _rows(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of rows that are not empty."""
    try:
        for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter):
            if any(cell.strip() for cell in row):
                yield [cell.strip() for cell in row]
    except csv.Error:
        return


def _layout_of_rows(rows: list[list[str]], delimiter: str) -> Layout | None:
    """Recognise the columns by cells, or return None."""
    if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) < FEWEST_COLUMNS:
        return None
    has_header = _is_header(rows[0], delimiter)
    body = rows[1:] if has_header else rows
    if not body or not all(_is_number(cell, delimiter) for row in body for cell in row):
        return None
    names = [cell.lower() for cell in rows[0]] if has_header else []
    if OWN_RESULTS & set(names) or any(name.startswith("attention_") for name in names):
        return None
    return _layout_of_names(names, len(rows[0]), delimiter, body)


def _layout_of_names(
    names: list[str], n_columns: int, delimiter: str, body: list[list[str]]
) -> Layout | None:
    """Tell features from positions, sizes and counters by the names of columns."""
    others = set()
    position = None
    unit = Unit.LEVEL0
    for x, y, counted_in in POSITION_COLUMNS:
        if x in names and y in names:
            position = (names.index(x), names.index(y))
            unit = counted_in
            others |= set(position)
            break
    sizes = [names.index(name) for name in SIZE_COLUMNS if name in names] if position else []
    counters = []
    if names and names[0] in INDEX_NAMES:
        counted = [float(row[0].replace(",", ".")) for row in body]
        counters = [0] if counted == list(range(len(body))) else []
    others |= {*sizes, *counters}
    features = tuple(k for k in range(n_columns) if k not in others)
    if len(features) < FEWEST_FEATURES:
        return None
    size = sizes[0] if sizes else None
    return Layout(delimiter, bool(names), features, position, unit, size)


def _is_header(row: list[str], delimiter: str) -> bool:
    """Say whether a row names columns; a run 0, 1, 2, … does, as pandas writes it."""
    if not all(_is_number(cell, delimiter) for cell in row):
        return True
    return row == [str(k) for k in range(len(row))]


def _is_number(cell: str, delimiter: str) -> bool:
    """Say whether a cell is a number."""
    try:
        float(cell if delimiter == "," else cell.replace(",", "."))
    except ValueError:
        return False
    return True
