"""Positions of slide2vec, which stand in a folder of their own beside the embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags.readers.numpy_files import read_npz
from napari_mil.bags.readers.stored import PixelSide, Positions, number, words
from napari_mil.errors import BagError

META_ENDING = ".meta.json"
COORDS_ENDING = ".coordinates.npz"
COORDS_META_ENDING = ".coordinates.meta.json"
COORDS_FOLDER = "tiles"
TILES = "tile_embeddings"
"""Kind of artefact that is a bag."""


def read_meta(path: Path, stem: str) -> Mapping[str, Any]:
    """Return what the file beside embeddings says of them, empty where there is none.

    Raises
    ------
    BagError
        If they are no embeddings of tiles.
    """
    meta = _read_json(path.with_name(f"{stem}{META_ENDING}"))
    kind = words(meta, "artifact_type")
    if kind and kind != TILES:
        raise BagError(
            f"{path.name} holds {kind.replace('_', ' ')} rather than those of tiles; "
            f"give a file of the folder {TILES}."
        )
    return meta if kind else {}


def positions_beside(
    path: Path, stem: str, tile_index: np.ndarray | None = None
) -> Positions | None:
    """Return the positions of embeddings, or None where there is no file with them.

    Parameters
    ----------
    path, stem
        File of the embeddings, and its name without ending.
    tile_index
        (N,): tiles that the rows are of, where the file says so.

    Raises
    ------
    BagError
        If rows are of tiles that have no position.
    """
    meta = read_meta(path, stem)
    if not meta and tile_index is None:
        return None
    for coords_path in _coords_of(path, stem, meta):
        stored = read_npz(coords_path)
        if not {"x", "y"} <= set(stored):
            continue
        corners = np.stack([stored["x"], stored["y"]], 1)
        stated = stored.get("tile_index")
        if tile_index is not None and stated is not None:
            corners = _joined(path, corners, stated, np.ravel(tile_index))
        return _with_sizes(coords_path, stem, corners, meta)
    return None


def _with_sizes(
    coords_path: Path, stem: str, corners: np.ndarray, meta: Mapping[str, Any]
) -> Positions:
    """Return positions with the side of tiles and the size of the slide."""
    facts = _read_json(coords_path.with_name(f"{stem}{COORDS_META_ENDING}"))
    tiling = facts.get("tiling")
    slide = facts.get("slide")
    side = number(meta, "tile_size_lv0")
    if side is None and isinstance(tiling, dict):
        side = number(tiling, "tile_size_lv0")
    size = slide.get("dimensions") if isinstance(slide, dict) else None
    is_size = isinstance(size, list) and len(size) == 2
    is_size = is_size and all(isinstance(length, int | float) for length in size or ())
    return Positions(
        corners,
        coords_path,
        side=None if side is None else PixelSide(side),
        slide_size=(float(size[0]), float(size[1])) if is_size and size else None,
    )


def _coords_of(path: Path, stem: str, meta: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that may hold positions, folders beside first.

    Paths in the file are of the machine that wrote it.
    """
    candidates = [folder / COORDS_FOLDER for folder in path.parents[:4]]
    stated = words(meta, "coordinates_npz_path")
    if stated:
        candidates.append(Path(stated).parent)
    for folder in candidates:
        coords_path = folder / f"{stem}{COORDS_ENDING}"
        if coords_path.is_file():
            yield coords_path


def _joined(
    path: Path, corners: np.ndarray, stated: np.ndarray, tile_index: np.ndarray
) -> np.ndarray:
    """Return the corners of the tiles that rows are of."""
    order = np.argsort(stated)
    places = np.searchsorted(stated[order], tile_index)
    is_known = places < len(order)
    is_known[is_known] = stated[order][places[is_known]] == tile_index[is_known]
    if not is_known.all():
        raise BagError(
            f"{path.name} holds {np.count_nonzero(~is_known)} tiles without a position; "
            "extract them together again."
        )
    return np.asarray(corners[order[places]])


def _read_json(path: Path) -> Mapping[str, Any]:
    """Return the entries of a JSON file, empty where it is none."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
