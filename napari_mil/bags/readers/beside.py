"""Positions of features that have none in their own file, as each tool keeps them."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.bags.readers import clam, slide2vec, slideflow, tiatoolbox, trident
from napari_mil.bags.readers.contents import row_count
from napari_mil.bags.readers.stored import Positions, stem_of, words
from napari_mil.errors import BagError
from napari_mil.findings import Finding, FindingKind

ENDINGS = (".pt", ".pth", ".npz", ".npy", ".safetensors", ".h5", ".hdf5")
"""Endings that are taken off a name to find the files beside it."""
DAMAGED = (OSError, ValueError, LookupError, EOFError, RuntimeError, TypeError, zipfile.BadZipFile)
"""Errors that reading a damaged file of positions may raise."""


@dataclass(frozen=True, eq=False)
class Beside:
    """What other files say of a bag."""

    positions: Positions | None = None
    encoder: str = ""
    findings: tuple[Finding, ...] = ()


def refuse_side_files(path: Path) -> None:
    """Refuse files of positions, which lie beside bags without being any.

    Raises
    ------
    BagError
        If it is one.
    """
    if slideflow.is_index(path) or tiatoolbox.is_position_file(path):
        raise BagError(
            f"{path.name} holds the positions of tiles, not their features; "
            "give the file with the features, which lies beside it."
        )


def find_beside(path: Path, n: int, tile_index: np.ndarray | None = None) -> Beside:
    """Look for the positions of N instances beside their file.

    Parameters
    ----------
    path
        File of the features.
    n
        Number of instances; positions of another number are not used, which is said.
    tile_index
        (N,): tiles that the rows are of, where the file says so.

    Raises
    ------
    BagError
        If the files beside say that it holds no features of tiles.
    """
    stem = stem_of(path, ENDINGS)
    encoder = words(slide2vec.read_meta(path, stem), "encoder_name")
    try:
        positions = (
            slideflow.positions_beside(path, stem)
            or slide2vec.positions_beside(path, stem, tile_index)
            or tiatoolbox.positions_beside(path)
            or trident.positions_beside(path, stem)
            or clam.positions_beside(path, stem)
        )
    except DAMAGED:
        text = "The file beside it with the positions of its tiles is damaged: it has no place."
        return Beside(None, encoder, (Finding(FindingKind.UNCERTAIN_PLACE, path, text),))
    if positions is None:
        return Beside(None, encoder)
    if slideflow.is_index(positions.path):
        encoder = slideflow.encoder_name(path.parent)
    if row_count(positions.values) != n:
        text = (
            f"{positions.path.name} beside it has {row_count(positions.values)} positions for {n} "
            "instances and is not used: it has no place."
        )
        return Beside(None, encoder, (Finding(FindingKind.UNCERTAIN_PLACE, path, text),))
    return Beside(positions, encoder)
