"""Readers of feature files, recognised by content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.bags.bag import Bag
from napari_mil.bags.images import image_files
from napari_mil.bags.readers import arrays, hdf5
from napari_mil.errors import BagError
from napari_mil.slides.folders import is_slide_folder

if TYPE_CHECKING:
    from napari_mil.slides import Slide

FEATURE_ENDINGS = (".h5", ".hdf5", ".pt", ".pth", ".safetensors", ".npy", ".npz")
"""Endings of feature files."""
LONGEST_HEADER = 100_000_000
"""Size limit of the header of a safetensors file, bytes."""


def read_bag(path: str | os.PathLike[str], slide: Slide | None = None) -> Bag:
    """Read the features of one slide or bag.

    HDF5 (TRIDENT, CLAM, STAMP and files of the same kind), safetensors, ``.npy``, ``.npz`` and
    files of `torch.save` (tensors, arrays, dictionaries, lists; never code).

    Parameters
    ----------
    path
        The file.
    slide
        Supplies micrometres per pixel where the file counts in micrometres.

    Returns
    -------
    Bag
        Features as float32; `warnings` holds the findings about the file.

    Raises
    ------
    BagError
        If the file is missing, empty, damaged, of no known kind, or holds no instance.
    CheckpointError
        If it is a file of `torch.save` and holds anything but tensors and numbers.
    """
    file = Path(path)
    kind = kind_of(file)
    if kind == "hdf5":
        return hdf5.read(file, slide)
    if kind == "torch":
        # Imported here: torch is loaded for its own files alone.
        from napari_mil.bags.readers import tensors

        return tensors.read(file)
    return arrays.read(file, kind)


def is_bag(path: Path) -> bool:
    """Say whether a path is a bag rather than a slide.

    A bag is a folder of images or a feature file.
    """
    if path.is_dir():
        return bool(image_files(path)) and not is_slide_folder(path)
    return path.suffix.lower() in FEATURE_ENDINGS and path.is_file()


def count_instances(path: Path) -> int:
    """Return the number of instances of a feature file.

    The features are not read where the format allows that.
    """
    kind = kind_of(path)
    if kind == "hdf5":
        return hdf5.count(path)
    if kind == "safetensors":
        return arrays.count(path)
    return len(read_bag(path))


def kind_of(path: Path) -> str:
    """Recognise the format of a feature file by its first bytes.

    Returns
    -------
    str
        ``hdf5``, ``safetensors``, ``npy``, ``npz`` or ``torch``.

    Raises
    ------
    BagError
        If the file is none of them.
    """
    try:
        with path.open("rb") as opened:
            start = opened.read(9)
        size = path.stat().st_size
    except OSError as error:
        raise BagError(
            f"{path.name} cannot be read ({error.strerror or error}); check the path."
        ) from error
    if size == 0:
        raise BagError(f"{path.name} is empty; extract its features again.")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    if start.startswith(b"PK\x03\x04"):
        return arrays.kind_of_zip(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= min(size - 8, LONGEST_HEADER):
        return "safetensors"
    if start.startswith(b"\x80") and path.suffix in (".pt", ".pth"):
        return "torch"
    raise BagError(
        f"{path.name} is no feature file that is known here; "
        "use HDF5, safetensors, .pt, .npy or .npz."
    )
