"""Opening of slides: the backend that reads a file or folder."""

from __future__ import annotations

import os
from pathlib import Path

from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.settings import Settings
from napari_mil.slides.backend import OtherBackendError, SlideBackend
from napari_mil.slides.dicom_backend import DicomBackend
from napari_mil.slides.folders import is_slide_folder
from napari_mil.slides.image_backend import ImageBackend
from napari_mil.slides.openslide_backend import OpenSlideBackend
from napari_mil.slides.resolution import scale_of
from napari_mil.slides.slide import Slide
from napari_mil.slides.tiff import TiffBackend
from napari_mil.slides.zarr_backend import ZarrBackend

BACKENDS: tuple[type[SlideBackend], ...] = (
    TiffBackend,
    OpenSlideBackend,
    DicomBackend,
    ZarrBackend,
    ImageBackend,
)
"""Readers, tried in this order where they recognise a file or folder."""

SLIDE_EXTENSIONS = (
    ".svs",
    ".ndpi",
    ".mrxs",
    ".vms",
    ".vmu",
    ".scn",
    ".bif",
    ".svslide",
    ".tif",
    ".tiff",
    ".qptiff",
    ".dcm",
    ".czi",
)
"""Endings of slide files.

The content of a file, not its ending, decides how it is opened.
"""


def open_slide(
    path: str | os.PathLike[str], mpp: float | None = None, *, settings: Settings | None = None
) -> Slide:
    """Open a whole slide or a plain picture.

    Of a slide, only the header and a few tiles are read.

    Parameters
    ----------
    path
        The slide's file; of a slide in several files, any of them; the folder of a DICOM series or
        an OME-Zarr.
    mpp
        Micrometres per level-0 pixel where the file says none or a wrong one.
    settings
        Cache sizes and thread counts.

    Returns
    -------
    Slide
        A context manager.

    Raises
    ------
    UnreadableSlideError
        If there is no file, no access, or no slide in it.
    """
    file = Path(path)
    try:
        _check_path(file)
        backend = _open_backend(file)
    except OSError as error:
        raise UnreadableSlideError(
            f"{file.name} cannot be read ({error.strerror or error}); "
            "check that you may read the file."
        ) from error
    try:
        scale = scale_of(backend.mpp_xy, backend.mpp_source, mpp)
    except NapariMilError:
        backend.close()
        raise
    return Slide(file, backend, scale, settings or Settings())


def _open_backend(path: Path) -> SlideBackend:
    """Open a path with the first backend that recognises and reads it."""
    refusal: UnreadableSlideError | None = None
    for backend in BACKENDS:
        if not backend.recognises(path):
            continue
        try:
            return backend(path)
        except OtherBackendError:
            continue
        except UnreadableSlideError as error:
            # The first to recognise a file knows best what is wrong with it; of DICOM the reader
            # for what OpenSlide refuses.
            if refusal is None or backend is DicomBackend:
                refusal = error
    if refusal is not None:
        raise refusal
    raise UnreadableSlideError(
        f"{path.name} is neither a slide nor a picture of a known format; "
        "check that it is the right file."
    )


def _check_path(file: Path) -> None:
    """Refuse a path that is missing, special or empty."""
    if not file.exists():
        raise UnreadableSlideError(
            f"{file.name} does not exist (in {file.absolute().parent}); check the path."
        )
    if file.is_dir():
        if is_slide_folder(file):
            return
        raise UnreadableSlideError(
            f"{file.name} is a folder, and neither a DICOM series nor an OME-Zarr; "
            "give one of the slide files inside it."
        )
    if not file.is_file():
        raise UnreadableSlideError(f"{file.name} is not a regular file; give a slide file.")
    if file.stat().st_size == 0:
        raise UnreadableSlideError(f"{file.name} is an empty file; copy the slide again.")
