"""Writing of an answer in a format, whole or not at all."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol, cast

from napari_mil.bags import ImageBag
from napari_mil.errors import OutputError, UnknownNameError
from napari_mil.events import CancellationToken
from napari_mil.exports.cards import FORMATS, FormatCard, Pixels
from napari_mil.exports.source import ExportChoices, ExportSource, Grouping, make_source
from napari_mil.files import whole_folder_or_nothing, whole_or_nothing
from napari_mil.inference.prediction import Prediction
from napari_mil.slides import Slide

COMPRESSED = ".gz"
COMPRESSION = 6
BLOCK = 1 << 20
"""Bytes that are compressed at once."""


class Writer(Protocol):
    """Function that writes one format."""

    def __call__(
        self, source: ExportSource, path: Path, cancel: CancellationToken
    ) -> tuple[str, ...]:
        """Write a file, or fill a folder that is empty.

        Parameters
        ----------
        source
            What is written.
        path
            A file that is not there yet, or an empty folder.
        cancel
            Asked now and then.

        Returns
        -------
        tuple of str
            What a reader of the file should know, one sentence each.
        """
        ...


def export_prediction(
    prediction: Prediction | str | os.PathLike[str],
    format_name: str,
    path: str | os.PathLike[str],
    *,
    pixels: Slide | ImageBag | None = None,
    choices: ExportChoices | None = None,
    grouping: Grouping | None = None,
    cancel: CancellationToken | None = None,
) -> tuple[str, ...]:
    """Write an answer in a format.

    Values are those of the answer; nothing is computed anew. No label image and no entry of the
    slide's file is written unless `choices` ask for it.

    Parameters
    ----------
    prediction
        The answer, or the folder it was saved in.
    format_name
        One of `FORMATS`.
    path
        File or folder to write; what was there is replaced.
    pixels
        The slide or the folder of images that was classified, for formats that show it.
    choices
        How it is written.
    grouping
        Groups that pictures show instead of values; numbers of clusters go into tables too.
    cancel
        Asked now and then.

    Returns
    -------
    tuple of str
        What a reader of the file should know, one sentence each.

    Raises
    ------
    UnknownNameError
        If there is no such format, or no such column to be coloured.
    OutputError
        If the answer lacks what the format needs, the pixels are those of another slide, or the
        path cannot be written.
    """
    card = format_card(format_name)
    if not isinstance(prediction, Prediction):
        prediction = Prediction.load(prediction)
    source = make_source(prediction, pixels, choices, grouping)
    reason = reason_against(card, source)
    if reason:
        raise OutputError(reason)
    return _write(card, source, Path(path), cancel or CancellationToken())


def format_card(name: str) -> FormatCard:
    """Return the card of a format.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    """
    if name not in FORMATS:
        raise UnknownNameError(
            f"There is no format named {name!r}; choose one of {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def reason_against(card: FormatCard, source: ExportSource) -> str:
    """Return why an answer cannot be written in a format; empty where it can."""
    if card.needs_positions and source.lacks_positions:
        return source.lacks_positions
    if card.pixels is Pixels.NEEDED and source.slide is None:
        return f"{card.title} shows {source.title} itself; give the slide that was classified."
    return ""


def _write(
    card: FormatCard, source: ExportSource, path: Path, cancel: CancellationToken
) -> tuple[str, ...]:
    write = cast("Writer", resolve_name(card.implementation))
    if path.is_dir() and not (card.is_folder and _is_zarr(path)):
        raise OutputError(f"{path} is a folder that is in use; give another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not card.is_folder:
            return _write_file(write, source, path, cancel)
        with whole_folder_or_nothing(path) as part:
            remarks = write(source, part, cancel)
            cancel.raise_if_cancelled()
        return remarks
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); choose another folder."
        ) from error


def _write_file(
    write: Writer, source: ExportSource, path: Path, cancel: CancellationToken
) -> tuple[str, ...]:
    """Write a file, compressed where its name ends with ``.gz``."""
    with whole_or_nothing(path) as part:
        if path.suffix == COMPRESSED:
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
                plain = Path(folder) / path.stem
                remarks = write(source, plain, cancel)
                _compress(plain, part, cancel)
        else:
            remarks = write(source, part, cancel)
        cancel.raise_if_cancelled()
    return remarks


def _compress(plain: Path, packed: Path, cancel: CancellationToken) -> None:
    """Compress a file without telling its name and time."""
    with (
        plain.open("rb") as source,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as target,
    ):
        while block := source.read(BLOCK):
            cancel.raise_if_cancelled()
            target.write(block)


def _is_zarr(path: Path) -> bool:
    return (path / "zarr.json").is_file() or not any(path.iterdir())
