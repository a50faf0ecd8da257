"""Slides and bags of a worklist: from a folder, a table, or a folder of results."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tifffile import TiffFile, TiffFileError

from napari_mil.bags.images import IMAGE_ENDINGS, image_files
from napari_mil.bags.names import TABLE_ENDINGS
from napari_mil.bags.readers import FEATURE_ENDINGS, is_features, is_side_file
from napari_mil.errors import NapariMilError
from napari_mil.findings import Finding, FindingKind
from napari_mil.inference.prediction import PREDICTION_FILE
from napari_mil.inference.stored_results import StoredResult, read_results
from napari_mil.inference.targets import open_target
from napari_mil.slides import SLIDE_EXTENSIONS
from napari_mil.slides.folders import is_slide_folder, one_of_each_series
from napari_mil.training.cohorts.folders.bag_files import BagFiles
from napari_mil.training.cohorts.tables.columns import COLUMNS, plain_name
from napari_mil.training.cohorts.tables.text import read_rows
from napari_mil.worklist.records import (
    NOTE,
    WORKLIST_FILE,
    Record,
    free_column,
    item_name,
    read_records,
)

FOLDERS_BELOW = 3
"""How deep below a folder slides and bags are looked for."""
FOLDERS_NEAR = 2
"""How deep below a folder the slides of results are looked for."""
RESULTS_ENDING = "-results"
"""Ending of the folder of results beside what was listed."""


@dataclass(frozen=True)
class WorkItem:
    """One slide or bag of a worklist."""

    name: str
    """Name of its folder of results, unless that is taken by another."""
    path: Path | None
    """None where there is a result whose slide or bag is not known."""
    problem: str = ""
    """Why its path is not known, in one sentence."""
    cells: tuple[str, ...] = ()
    """Texts in the other columns of the table it stands in."""
    note: str = ""
    """Note in the table it stands in."""
    result: StoredResult | None = None
    """Its result, where it was listed by that."""


@dataclass(frozen=True)
class Worklist:
    """Slides and bags to classify into one folder of results."""

    source: Path
    """Folder or table that was listed."""
    out: Path
    """Folder of results."""
    items: tuple[WorkItem, ...]
    records: tuple[Record, ...]
    """What was noted of each item before."""
    columns: tuple[str, ...] = ()
    """Other columns of the table."""
    warnings: tuple[Finding, ...] = ()
    """What is odd about the table."""


def read_worklist(source: Path, out: Path | None = None) -> Worklist:
    """List the slides and bags of a folder, a table or a folder of results.

    Parameters
    ----------
    source
        Folder of slides, of bags or of results, or a table with a column ``slide``.
    out
        Folder of results; None takes the one beside the source, or the source where it is one.

    Returns
    -------
    Worklist

    Raises
    ------
    NapariMilError
        If the source cannot be read, or holds no slide and no bag.
    """
    source = source.expanduser().absolute()
    try:
        listed = _list(source)
    except OSError as error:
        raise NapariMilError(
            f"{source.name} cannot be listed ({error.strerror or error}); check the path."
        ) from error
    if not listed.items:
        raise NapariMilError(
            f"{source.name} holds no slide and no bag; "
            "choose a folder of slides, or a table with the column slide."
        )
    results = out or listed.out
    return with_records(replace(listed, out=results))


def with_records(worklist: Worklist) -> Worklist:
    """Return the list with what was noted in its folder of results.

    Raises
    ------
    NapariMilError
        If the notes there cannot be read: they would be lost.
    """
    earlier = read_records(worklist.out)
    records = tuple(
        earlier.find(item.name, item.path, item.result) or Record(item.name, item.path, item.note)
        for item in worklist.items
    )
    return replace(worklist, records=records)


def is_results_folder(folder: Path) -> bool:
    """Say whether a folder holds results of `classify`, or a worklist of its own."""
    if (folder / WORKLIST_FILE).is_file():
        return True
    return next(folder.glob(f"*/{PREDICTION_FILE}"), None) is not None


def is_worklist_table(path: Path) -> bool:
    """Say whether a table lists slides without labels: there is nothing to train on."""
    if path.name == WORKLIST_FILE:
        return True
    try:
        header, _ = read_rows(path, [])
    except NapariMilError:
        return False
    return _column(header, "slide") is not None and _column(header, "label") is None


def locate(worklist: Worklist, folder: Path) -> Worklist:
    """Look in a folder for the slides and bags whose path is not known, by their names.

    Of several with one name, the one that a result is about is taken.

    Raises
    ------
    NapariMilError
        If the folder cannot be read.
    """
    lost = [item for item in worklist.items if item.path is None or not item.path.exists()]
    try:
        named = _bags_named({item.name for item in lost}, [folder])
    except OSError as error:
        raise NapariMilError(
            f"{folder.name} cannot be listed ({error.strerror or error}); choose another folder."
        ) from error
    items = (_located(item, named) if item in lost else item for item in worklist.items)
    return replace(worklist, items=tuple(items))


def _located(item: WorkItem, named: Mapping[str, Sequence[Path]]) -> WorkItem:
    paths = named.get(item.name, ())
    if len(paths) > 1 and item.result is not None:
        paths = [path for path in paths if _content_of(path) == item.result.fingerprint]
    return replace(item, path=paths[0], problem="") if len(paths) == 1 else item


def _content_of(path: Path) -> str:
    try:
        with open_target(path) as target:
            return target.identity.fingerprint
    except NapariMilError:
        return ""


def _bags_named(names: Collection[str], folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the slides and bags of some names in folders and two levels below."""
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders if names else ():
        for path in _entries_below(folder, FOLDERS_NEAR):
            name = item_name(path)
            if name in names and path not in found[name] and _is_bag(path):
                found[name].append(path)
    return found


def _entries_below(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        is_result = entry.is_dir() and (entry / PREDICTION_FILE).is_file()
        if is_result:
            continue
        yield entry
        if depth > 0 and entry.is_dir() and os.access(entry, os.R_OK | os.X_OK):
            yield from _entries_below(entry, depth - 1)


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return is_slide_folder(path) or is_features(path) or _is_image_bag(path)
    return _is_bag_file(path)


def _list(source: Path) -> Worklist:
    if not source.exists():
        raise NapariMilError(f"{source.name} does not exist (in {source.parent}); check the path.")
    if source.is_file():
        return _list_table(source)
    if is_results_folder(source):
        return _list_results(source)
    items = [WorkItem(item_name(path), path) for path in bags_below(source)]
    return Worklist(source, source.with_name(f"{source.name}{RESULTS_ENDING}"), tuple(items), ())


def _list_table(table: Path) -> Worklist:
    if table.name == WORKLIST_FILE:
        return _list_results(table.parent)
    warnings: list[Finding] = []
    header, rows = read_rows(table, warnings)
    slide = _column(header, "slide")
    if slide is None:
        raise NapariMilError(
            f"{table.name} has no column slide; its first line names the columns, "
            "one of them slide with the path or name of each."
        )
    others = [name for name in header if name not in (slide, NOTE)]
    files = BagFiles(table.parent)
    items = []
    for row in rows:
        if row[slide]:
            item = _item_of_cell(row[slide], files)
            cells = tuple(row[name] for name in others)
            items.append(replace(item, cells=cells, note=row.get(NOTE, "")))
    once = _once(items)
    if len(once) < len(items):
        doubled = len(items) - len(once)
        text = f"Rows that name a slide once more are left out: {doubled}."
        warnings.append(Finding(FindingKind.LISTED_TWICE, table, text))
    out = table.with_name(f"{table.stem}{RESULTS_ENDING}")
    columns = tuple(free_column(name) for name in others)
    return Worklist(table, out, tuple(once), (), columns, tuple(warnings))


def _item_of_cell(cell: str, files: BagFiles) -> WorkItem:
    found = files.find(cell)
    if isinstance(found, Finding):
        name = item_name(Path(cell.replace("\\", "/")), is_folder=False)
        return WorkItem(name, None, f"{cell}: {found.text}")
    return WorkItem(item_name(found), found)


def _list_results(out: Path) -> Worklist:
    """List what was noted in a folder of results, the results that were not, and its slides."""
    earlier = read_records(out)
    items = [
        WorkItem(record.name, record.path, _unknown_place(record), record.cells)
        for record in earlier.records
    ]
    noted = {record.folder for record in earlier.records if record.folder}
    # A row that had no result when it was noted finds one by its name.
    unanswered = {record.name for record in earlier.records if not record.folder}
    results = [
        result
        for result in read_results(out)
        if result.folder.name not in noted and result.name not in unanswered
    ]
    unlisted = [
        WorkItem(name, None, _unknown_place(Record(name, None)), result=result)
        for result in results
        for name in [result.name or result.folder.name]
    ]
    named = _bags_named({item.name for item in unlisted}, [out, out.parent])
    items += [_located(item, named) for item in unlisted]
    items += [WorkItem(item_name(path), path) for path in bags_below(out)]
    return Worklist(out, out, tuple(_once(items)), (), earlier.columns)


def _unknown_place(record: Record) -> str:
    if record.path is not None:
        return ""
    return f"Where {record.name} lies is not known; choose the folder of the slides."


def _once(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return items without those whose path stands there before."""
    seen: set[Path] = set()
    kept = []
    for item in items:
        if item.path is not None:
            if item.path in seen:
                continue
            seen.add(item.path)
        kept.append(item)
    return kept


def _column(header: Sequence[str], column: str) -> str | None:
    """Return the header's name of a known column, or None."""
    names = {plain_name(name): name for name in header}
    return next((names[name] for name in COLUMNS[column] if name in names), None)


def bags_below(folder: Path) -> Iterator[Path]:
    """Yield the slides and bags in a folder and up to three folders below."""
    if is_slide_folder(folder) or _is_image_bag(folder):
        yield folder
    else:
        yield from _bags_below(folder, FOLDERS_BELOW)


def _bags_below(folder: Path, depth: int) -> Iterator[Path]:
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    yield from one_of_each_series(entry for entry in entries if _is_bag_file(entry))
    for entry in entries:
        if not entry.is_dir() or (entry / PREDICTION_FILE).is_file():
            continue
        if any(entry.with_name(f"{entry.name}{ending}").is_file() for ending in SLIDE_EXTENSIONS):
            continue  # what belongs to the slide beside it, as of MIRAX
        if is_slide_folder(entry) or is_features(entry) or _is_image_bag(entry):
            yield entry
        elif depth > 1:
            yield from _bags_below(entry, depth - 1)


def _is_bag_file(path: Path) -> bool:
    if not path.is_file() or is_side_file(path):
        return False
    ending = path.suffix.lower()
    if ending in TABLE_ENDINGS:
        return is_features(path)
    return ending in (*SLIDE_EXTENSIONS, *FEATURE_ENDINGS)


def _is_image_bag(folder: Path) -> bool:
    """Say whether a folder is one bag of images, and not a folder of slides.

    Endings do not tell a slide from a picture in TIFF: slides are tiled, pictures are not.
    """
    if not image_files(folder):
        return False
    return not any(_is_surely_slide(path) for path in folder.iterdir() if path.is_file())


def _is_surely_slide(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending not in IMAGE_ENDINGS:
        return ending in SLIDE_EXTENSIONS
    if ending not in SLIDE_EXTENSIONS:
        return False
    try:
        with TiffFile(path) as file:
            return file.pages.first.is_tiled
    except (TiffFileError, OSError, ValueError, IndexError):
        return False
