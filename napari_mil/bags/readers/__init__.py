"""Readers of feature files, recognised by content."""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.bags.bag import Bag
from napari_mil.bags.images import image_files
from napari_mil.bags.readers import arrays, hdf5, slide2vec, slideflow, tables, tiatoolbox
from napari_mil.bags.readers.contents import bag_of
from napari_mil.bags.readers.recognition import FileKind, kind_of
from napari_mil.bags.readers.stored import Stored
from napari_mil.errors import BagError
from napari_mil.slides.fingerprint import fingerprint_file
from napari_mil.slides.folders import is_slide_folder, is_zarr
from napari_mil.slides.opening import SLIDE_EXTENSIONS, open_slide

if TYPE_CHECKING:
    from napari_mil.slides import Slide

FEATURE_ENDINGS = (".h5", ".hdf5", ".pt", ".pth", ".safetensors", ".npy", ".npz")
"""Endings of files that can be nothing but features."""


def read_bag(
    path: str | os.PathLike[str],
    slide: Slide | str | os.PathLike[str] | None = None,
    *,
    tile_size0: float | None = None,
    dataset: str | None = None,
) -> Bag:
    """Read the features of one slide or bag.

    Files of TRIDENT, CLAM, STAMP, slideflow, slide2vec, wsidata and LazySlide, TIAToolbox and
    dsmil-wsi, recognised by content, and plain HDF5, safetensors, ``.npy``, ``.npz``, tables and
    files of `torch.save` (tensors, arrays, dictionaries, lists; never code). Positions and tile
    sizes that a tool keeps in another file are found there (``docs/features.md``).

    Parameters
    ----------
    path
        The file, or the folder of a Zarr store.
    slide
        Supplies micrometres per pixel where the file counts in micrometres, and is checked against
        what the file says; a path is opened and closed.
    tile_size0
        Side of a tile in level-0 pixels, where the file does not say it or is wrong.
    dataset
        Name of the features where a file holds several matrices, of a store the table.

    Returns
    -------
    Bag
        Features as float32, corners in level-0 pixels as int64; `warnings` holds what was odd: a
        tile size that was guessed, tiles off the slide, a slide of another size.

    Raises
    ------
    BagError
        If the file is missing, empty, damaged, of no known kind, or holds no instance.
    CheckpointError
        If it is a file of `torch.save` and holds anything but tensors and numbers.
    UnreadableSlideError
        If `slide` is a path and holds no slide.
    """
    if tile_size0 is not None and not 0 < tile_size0 < math.inf:
        raise BagError(
            f"tile_size0 is a side in level-0 pixels, for example 512, not {tile_size0}."
        )
    # Files beside it are looked for in the folders above, also from within its own.
    file = Path(path).absolute()
    stored = _read(file, kind_of(file), dataset)
    with ExitStack() as stack:
        if isinstance(slide, str | os.PathLike):
            slide = stack.enter_context(open_slide(slide))
        return bag_of(file, stored, slide, tile_size0)


def is_bag(path: Path) -> bool:
    """Say whether a path is a bag rather than a slide.

    A bag is a folder of images, a feature file or a store of features.
    """
    if is_features(path):
        return True
    return path.is_dir() and bool(image_files(path)) and not is_slide_folder(path)


def is_features(path: Path) -> bool:
    """Say whether a path holds features, whatever its ending.

    Files that cannot be anything else count by their ending alone, damaged ones included.
    """
    if path.is_dir():
        return is_zarr(path) and _is_store(path)
    ending = path.suffix.lower()
    if ending in FEATURE_ENDINGS:
        return path.is_file()
    if ending in SLIDE_EXTENSIONS:
        return False
    try:
        kind_of(path)
    except BagError:
        return False
    return True


def shape_of_bag(path: Path) -> tuple[int, ...]:
    """Return the shape of a feature file's bag, (N, D) or (N, C, H, W).

    The features are not read where the format allows that.
    """
    kind = kind_of(path)
    if kind is FileKind.HDF5:
        return hdf5.shape_of(path)
    if kind is FileKind.SAFETENSORS:
        return arrays.shape_of(path)
    if kind is FileKind.TABLE:
        return tables.shape_of(path)
    if kind is FileKind.ZARR:
        from napari_mil.bags.readers import spatialdata

        return spatialdata.shape_of(path)
    return read_bag(path).features.shape


def is_side_file(path: Path) -> bool:
    """Say whether a file belongs to feature files beside it without being one.

    Indices and positions of tiles, and descriptions of a folder of bags.
    """
    return (
        slideflow.is_index(path)
        or tiatoolbox.is_position_file(path)
        or path.name == slideflow.CONFIG
        or path.name.lower().endswith(slide2vec.META_ENDING)
    )


def fingerprint_features(path: Path) -> str:
    """Return a stable id of the content of a feature file, or of all files of a store.

    Returns
    -------
    str
        32 hexadecimal digits; independent of name, place and time stamps.
    """
    if not path.is_dir():
        return fingerprint_file(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path).as_posix()}:".encode())
            digest.update(fingerprint_file(file).encode())
    return digest.hexdigest()[:32]


def _read(path: Path, kind: FileKind, dataset: str | None) -> Stored:
    """Read what a file holds with the reader of its container."""
    if kind is FileKind.HDF5:
        return hdf5.read(path, dataset)
    if kind is FileKind.TABLE:
        return tables.read(path)
    if kind is FileKind.ZARR:
        # Imported here, as below: zarr and torch take long to load.
        from napari_mil.bags.readers import spatialdata

        return spatialdata.read(path, dataset)
    if kind is FileKind.TORCH:
        from napari_mil.bags.readers import tensors

        return tensors.read(path, dataset)
    return arrays.read(path, kind, dataset)


def _is_store(path: Path) -> bool:
    from napari_mil.bags.readers import spatialdata

    return spatialdata.is_store(path)
