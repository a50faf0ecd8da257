"""Tables as text, however a spreadsheet or a program wrote them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from napari_mil.errors import TrainingError
from napari_mil.findings import Finding, FindingKind
from napari_mil.training.cohorts.tables.columns import COLUMNS, plain_name

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
"""Characters between cells, in words; of those that divide a header alike, the first is taken."""
DECLARED_DELIMITER = re.compile(r"sep=([^\w\"\r\n ])\s*", re.IGNORECASE)
"""First line by which a spreadsheet says the character between cells."""
COMMENT = "#"
"""Beginning of a line that is a remark."""
SAMPLE = 512
"""Bytes from which UTF-16 without a mark is told."""
LAST = "\0"
"""Row behind the last one, which an open quotation mark swallows; no text holds it."""
LINE_END = re.compile(r"\r\n|\r|\n")
"""End of a line of Windows, of old Macs, and of all others."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """A row of a table, without blanks around its cells."""

    line: int
    """Line it begins in, from 1."""
    cells: tuple[str, ...]
    """As many as the header has."""
    surplus: tuple[str, ...] = ()
    """Cells that are not empty beyond those of the header."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """Header and rows of a table."""

    path: Path
    header: tuple[str, ...]
    """Names of the columns as written; empty ones stand for columns without a name."""
    rows: tuple[TextRow, ...]
    delimiter: str
    """Character between cells."""

    def refuse_swallowed_rows(self, column: int) -> None:
        """Refuse a column in which a quotation mark swallowed the rows up to the next one.

        Raises
        ------
        TrainingError
            If a cell of the column holds cells of the lines below.
        """
        for row in self.rows:
            below = LINE_END.split(row.cells[column])[1:]
            if any(self.delimiter in line for line in below):
                raise _open_quotation(self.path, row.line)

    @property
    def longer(self) -> tuple[TextRow, ...]:
        """Rows with more cells than the header."""
        return tuple(row for row in self.rows if row.surplus)

    @property
    def longer_words(self) -> str:
        """How many rows are longer, the first of them and what to do; empty where none is."""
        if not self.longer:
            return ""
        first = self.longer[0]
        rows = "1 row has" if len(self.longer) == 1 else f"{len(self.longer)} rows have"
        return (
            f"{rows} more cells than the first line names (line {first.line}: "
            f"{', '.join((*first.cells, *first.surplus))}); put quotation marks around a cell "
            f"that holds a {DELIMITERS.get(self.delimiter, self.delimiter)}, or name every column"
        )


def read_text_table(table: Path, warnings: list[Finding]) -> TextTable:
    """Read a table; its first line names the columns.

    Blank lines and comments before that line, and blank lines anywhere, are passed over.

    Parameters
    ----------
    table
        Text in columns, separated by commas, tabs, semicolons or bars.
    warnings
        Gets what is odd about the file.

    Raises
    ------
    TrainingError
        If it cannot be read, or a quotation mark is not closed.
    """
    text = _text_of(table, warnings).lstrip("\ufeff")
    start, delimiter = _header_place(text)
    n_before = len(LINE_END.findall(text[:start]))
    header, *rows = _rows(table, text[start:], delimiter, n_before)
    last = rows.pop() if rows else header
    if last.cells != (LAST,):
        raise _open_quotation(table, last.line)
    names = () if last is header else header.cells
    return TextTable(table, names, tuple(_fitted(row, len(names)) for row in rows), delimiter)


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
    found = read_text_table(table, warnings)
    if found.longer:
        text = f"{found.longer_words}; what lies beyond is left out."
        warnings.append(Finding(FindingKind.LEFT_OUT, table, text, len(found.longer)))
    header = [name for name in found.header if name]
    rows = [
        {name: cell for name, cell in zip(found.header, row.cells, strict=True) if name}
        for row in found.rows
    ]
    return header, rows


def unreadable(table: Path, why: str) -> TrainingError:
    """Return the error about a file that is no table."""
    return TrainingError(
        f"{table.name} cannot be read as a table ({why}); save it as CSV in UTF-8."
    )


def _text_of(table: Path, warnings: list[Finding]) -> str:
    """Return the text of a table in UTF-8, UTF-16 or, as a last resort, Windows-1252.

    Raises
    ------
    TrainingError
        If it cannot be read, or is no text.
    """
    content = _content_of(table)
    wide = _wide_encoding(content)
    try:
        text = content.decode(wide or "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide or b"\0" in content:
            raise unreadable(table, str(error)) from error
        text = _windows_text(table, content)
        words = "It is not in UTF-8 and was read as Windows-1252; check letters with accents."
        warnings.append(Finding(FindingKind.ENCODING, table, words))
    if "\0" in text:
        raise unreadable(table, "it holds bytes that are no text")
    return text


def _content_of(table: Path) -> bytes:
    if table.is_dir():
        raise TrainingError(f"{table} is a folder; give the table in it.")
    try:
        return table.read_bytes()
    except FileNotFoundError as error:
        raise TrainingError(f"{table} does not exist; check the path.") from error
    except OSError as error:
        raise TrainingError(
            f"{table} cannot be read ({error.strerror or error}); check the path."
        ) from error


def _wide_encoding(content: bytes) -> str | None:
    """Return which UTF-16 a text is in, by its mark or by its zero bytes, or None."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even = content[:SAMPLE:2]
    odd = content[1:SAMPLE:2]
    if not even.count(0) and 2 * odd.count(0) > len(odd):
        return "utf-16-le"
    if not odd.count(0) and 2 * even.count(0) > len(even):
        return "utf-16-be"
    return None


def _windows_text(table: Path, content: bytes) -> str:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise unreadable(table, str(error)) from error


def _header_place(text: str) -> tuple[int, str]:
    """Return where the line that names the columns begins, and the character between cells."""
    declared = None
    start = 0
    while start < len(text):
        end = LINE_END.search(text, start)
        stop = len(text) if end is None else end.start()
        line = text[start:stop]
        said = DECLARED_DELIMITER.fullmatch(line)
        if said is not None:
            declared = said[1]
        elif line.strip() and not _is_comment(line):
            return start, declared or _delimiter(line)
        start = len(text) if end is None else end.end()
    return len(text), ","


def _is_comment(line: str) -> bool:
    """Say whether a line before the rows is a remark; ``#slide,label`` names columns."""
    if not line.startswith(COMMENT):
        return False
    names = re.split(f"[{''.join(DELIMITERS)}]", line)
    return not any(plain_name(name) in COLUMNS["slide"] for name in names)


def _delimiter(header: str) -> str:
    """Return the character that divides a header into the most columns."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark))))


def _rows(table: Path, text: str, delimiter: str, n_before: int) -> Iterator[TextRow]:
    """Yield the rows of a text that are not empty, and `LAST` behind them."""
    lines = chain(io.StringIO(text, newline=""), (LAST,))
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    line = n_before + 1
    try:
        for cells in reader:
            if cells:
                yield TextRow(line, tuple(cell.strip() for cell in cells))
            line = n_before + reader.line_num + 1
    except csv.Error as error:  # a cell too long to be one
        if '"' in text:
            raise _open_quotation(table, line) from error
        raise unreadable(table, str(error)) from error


def _fitted(row: TextRow, width: int) -> TextRow:
    """Return a row with as many cells as the header has."""
    cells = row.cells[:width] + ("",) * (width - len(row.cells))
    return TextRow(row.line, cells, tuple(filter(None, row.cells[width:])))


def _open_quotation(table: Path, line: int) -> TrainingError:
    return TrainingError(
        f"{table.name} has a quotation mark in line {line} that is not closed there and hides "
        "the lines below; close it, or remove it."
    )
