"""Folders that are one slide: DICOM series and OME-Zarr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

DICOM_ENDINGS = (".dcm", ".dicom", "")
"""Endings of DICOM files, which often have none."""
DICOM_START = 128
"""Place of DICOM's magic word."""
MOST_LOOKED_AT = 50
"""Files of a folder that are asked whether they are DICOM."""
ZARR_FILES = (".zattrs", ".zgroup", "zarr.json")
"""Files of which one stands at the root of an OME-Zarr."""


def is_dicom(path: Path) -> bool:
    """Say whether a file begins like a DICOM file."""
    try:
        with path.open("rb") as file:
            file.seek(DICOM_START)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def _may_be_dicom(path: Path) -> bool:
    """Say whether a name could be that of a DICOM file, which may be a bare identifier."""
    ending = path.suffix.lower()
    return ending in DICOM_ENDINGS or ending[1:].isdigit()


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files that lie in a folder itself, by name."""
    candidates = [
        path
        for path in sorted(folder.iterdir())
        if _may_be_dicom(path) and not path.name.startswith(".")
    ]
    if not any(path.is_file() and is_dicom(path) for path in candidates[:MOST_LOOKED_AT]):
        return []
    return [path for path in candidates if path.is_file() and is_dicom(path)]


def is_zarr(path: Path) -> bool:
    """Say whether a folder is the root of a Zarr."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_FILES)


def is_slide_folder(path: Path) -> bool:
    """Say whether a folder is one slide: a DICOM series or an OME-Zarr."""
    if not path.is_dir():
        return False
    if is_zarr(path):
        return True
    if any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir()):
        return False  # a folder of slides
    return len(set(map(series_of, dicom_files(path)))) == 1


def series_of(path: Path) -> str:
    """Return the identifier of a DICOM file's series, or the path of any other file.

    All files of a slide have one.
    """
    if not is_dicom(path):
        return str(path)
    # Imported here: nothing else needs it.
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        return str(header.SeriesInstanceUID)
    except (AttributeError, ValueError, OSError, pydicom.errors.InvalidDicomError):
        return str(path)


def one_of_each_series(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield paths, of the files of one DICOM series the first alone."""
    seen: set[tuple[Path, str]] = set()
    for path in paths:
        is_candidate = _may_be_dicom(path) and path.is_file() and is_dicom(path)
        if is_candidate:
            key = (path.parent, series_of(path))
            if key in seen:
                continue
            seen.add(key)
        yield path


def slides_below(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Yield the slides in a folder and its subfolders, each once.

    Parameters
    ----------
    folder
        Where to look.
    endings
        Lower-case endings of slide files.
    """
    yield from _slides_below(folder, endings, set())


def _slides_below(folder: Path, endings: tuple[str, ...], seen: set[Path]) -> Iterator[Path]:
    """Yield the slides of a folder that was not seen: links may lead back."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    entries = sorted(folder.iterdir())
    files = [path for path in entries if path.suffix.lower() in endings and path.is_file()]
    yield from one_of_each_series(files)
    for path in entries:
        if not path.is_dir() or path.name.startswith("."):
            continue
        if is_slide_folder(path):
            yield path
        else:
            yield from _slides_below(path, endings, seen)
