"""Reader of Zarr stores of wsidata and LazySlide (SpatialData), and of TIAToolbox.

In SpatialData a table holds the features and the number of the tile of each row; the shapes hold
the outlines of tiles in level-0 pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr

from napari_mil.bags.bag import Extraction
from napari_mil.bags.readers import tiatoolbox
from napari_mil.bags.readers.contents import FEATURES, bag_shape, first_of
from napari_mil.bags.readers.stored import PixelSide, Positions, Side, Stored, number, words
from napari_mil.errors import BagError, short_cause

DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    MemoryError,
    UnicodeError,
)
"""Errors that reading a damaged store may raise."""
TILE_IDS = ("tile_id", "__index_level_0__")
"""Columns of outlines that hold the number of the tile, besides the one that the table names."""
MOST_VALUES = 1 << 34
"""Numbers that a store may claim before it is taken for damaged."""


@dataclass(frozen=True)
class Table:
    """A table of features in a store."""

    name: str
    group: zarr.Group
    region: str
    """Key of the shapes that its rows are of."""
    instance_key: str
    """Column with the number of the shape of each row."""


def read(path: Path, dataset: str | None = None) -> Stored:
    """Read features and positions of one table of a store.

    Parameters
    ----------
    path
        Folder of the store.
    dataset
        Name of the table where the store has several.

    Raises
    ------
    BagError
        If the store is damaged, holds no features, or several tables and none is named.
    """
    with _opened(path) as root:
        if "spatialdata_attrs" not in root.attrs:
            return _read_plain(path, root)
        table = _table(path, root, dataset)
        features = _matrix(table.group)
        rows = _column(table.group, table.instance_key)
        return _stored(path, root, table, features, rows)


def shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape of the bag in the only table of a store."""
    with _opened(path) as root:
        if "spatialdata_attrs" not in root.attrs:
            return bag_shape(path.name, _array(root, _plain_key(path, root)).shape)
        return bag_shape(path.name, _shape(_table(path, root, None).group))


def is_store(path: Path) -> bool:
    """Say whether a Zarr holds features rather than an image."""
    try:
        with _opened(path) as root:
            if "spatialdata_attrs" in root.attrs:
                return True
            return first_of(FEATURES, dict(root.members())) is not None
    except BagError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[zarr.Group]:
    """Open a store; what is wrong with it is said in one sentence."""
    try:
        with warnings.catch_warnings():
            # Files that belong to no array are passed over.
            warnings.simplefilter("ignore", UserWarning)
            yield zarr.open_group(path, mode="r")
    except DAMAGED as error:
        raise BagError(
            f"{path.name} is a damaged Zarr store ({short_cause(error, 120)}); copy it again."
        ) from error


def _stored(
    path: Path, root: zarr.Group, table: Table, features: np.ndarray, rows: np.ndarray
) -> Stored:
    """Join the rows of a table with the outlines of tiles."""
    facts = _entry(root.attrs, "slide_properties")
    shape = facts.get("shape")
    height_width = shape if isinstance(shape, list) and len(shape) == 2 else None
    size = None if height_width is None else (int(height_width[1]), int(height_width[0]))
    encoder = table.name.removesuffix(f"_{table.region}")
    corners, drawn = _corners(path, table, rows)
    spec = _entry(_entry(root.attrs, "tile_spec"), table.region)
    return Stored(
        features,
        Positions(corners, path, side=_side(spec, drawn), slide_size=size),
        extraction=Extraction(
            slide_size=size,
            slide_mpp=number(facts, "mpp"),
            tile_px=round(number(spec, "width") or 0) or None,
            tile_mpp=number(spec, "mpp"),
            encoder=encoder,
        ),
        provenance={"encoder name": encoder},
    )


def _table(path: Path, root: zarr.Group, name: str | None) -> Table:
    """Return the table that is named, or the only one."""
    groups = _tables(root)
    known = ", ".join(sorted(groups)) or "none"
    if name is None and len(groups) != 1:
        kind = "no table of features" if not groups else f"several tables ({known})"
        remedy = "say which are the features (dataset)" if groups else "extract features first"
        raise BagError(f"{path.name} holds {kind}; {remedy}.")
    chosen = name or next(iter(groups))
    if chosen not in groups:
        raise BagError(f"{path.name} has no table {chosen!r} (it has {known}); name another.")
    group = groups[chosen]
    region = group.attrs.get("region")
    if isinstance(region, list) and len(region) == 1:
        region = region[0]
    instance_key = words(group.attrs, "instance_key")
    if not isinstance(region, str) or not instance_key:
        raise BagError(
            f"The table {chosen} of {path.name} does not say which shapes its rows are of."
        )
    return Table(chosen, group, region, instance_key)


def _tables(root: zarr.Group) -> dict[str, zarr.Group]:
    """Return the tables of features by name; grids of tokens are none."""
    tables = root["tables"] if "tables" in root else root.get("table")
    if not isinstance(tables, zarr.Group):
        return {}
    return {
        name: member
        for name, member in tables.groups()
        if "X" in member and not name.endswith("_dense")
    }


def _matrix(table: zarr.Group) -> np.ndarray:
    """Return the features of a table, also where it stores only those that are not 0."""
    shape = _shape(table)
    if np.prod(shape, dtype=float) > MOST_VALUES:
        raise ValueError(f"it says it holds {shape} numbers")
    member = table["X"]
    if isinstance(member, zarr.Array):
        return np.asarray(member[...])
    from scipy import sparse

    parts = tuple(np.asarray(_array(member, key)[...]) for key in ("data", "indices", "indptr"))
    kind = words(member.attrs, "encoding-type")
    make = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}[kind]
    matrix = make(parts, shape=shape)
    matrix.check_format(full_check=True)
    return np.asarray(matrix.toarray())


def _column(table: zarr.Group, name: str) -> np.ndarray:
    """Return a column of a table, which may have gaps or be of categories."""
    column = table[f"obs/{name}"]
    if isinstance(column, zarr.Array):
        return np.asarray(column[...])
    if "codes" in column:
        categories = np.asarray(_array(column, "categories")[...])
        return np.asarray(categories[np.asarray(_array(column, "codes")[...])])
    return np.asarray(_array(column, "values")[...])


def _shape(table: zarr.Group) -> tuple[int, ...]:
    """Return the shape of the features of a table."""
    member = table["X"]
    if isinstance(member, zarr.Array):
        return tuple(member.shape)
    return tuple(int(length) for length in cast("list[int]", member.attrs["shape"]))


def _corners(path: Path, table: Table, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the corners (N, 2) of the tiles of rows, and the side as drawn.

    Bounds rather than the first vertex: that is another corner.
    """
    # Imported here: only outlines of tiles are stored so.
    import shapely
    from pyarrow import parquet

    file = path / "shapes" / table.region / "shapes.parquet"
    columns = parquet.read_table(file).combine_chunks()
    named = next(name for name in (table.instance_key, *TILE_IDS) if name in columns.column_names)
    ids = columns[named].to_numpy()
    outlines = columns["geometry"].to_numpy(zero_copy_only=False)
    try:
        bounds = shapely.bounds(shapely.from_wkb(outlines))
    except shapely.errors.ShapelyError as error:
        raise ValueError("the outlines of its tiles cannot be read") from error
    order = np.argsort(ids)
    places = np.minimum(np.searchsorted(ids[order], rows), len(order) - 1)
    found = order[places]
    if not len(order) or (ids[found] != rows).any():
        raise ValueError(f"tiles of the table have no outline in {table.region}")
    boxes = bounds[found]
    return boxes[:, :2], float(np.median(boxes[:, 2] - boxes[:, 0]))


def _side(spec: Mapping[str, Any], drawn: float) -> Side:
    """Return the side of tiles as drawn, otherwise as requested."""
    if drawn > 0:
        return PixelSide(drawn)
    width = number(spec, "width") or 0.0
    return PixelSide(float(int(width * (number(spec, "base_downsample") or 1.0))))


def _read_plain(path: Path, root: zarr.Group) -> Stored:
    """Read a store of named arrays, as TIAToolbox writes it."""
    features = _array(root, _plain_key(path, root))
    if np.prod(features.shape, dtype=float) > MOST_VALUES:
        raise ValueError(f"it says it holds {features.shape} numbers")
    positions = None
    for key in ("coordinates", "coords"):
        if key in root:
            values = np.asarray(_array(root, key)[...])
            is_boxes = values.ndim == 2 and values.shape[1] == 4
            make = tiatoolbox.positions if is_boxes else _plain_positions
            positions = make(path, values)
            break
    return Stored(np.asarray(features[...]), positions)


def _plain_positions(path: Path, values: np.ndarray) -> Positions:
    """Return pairs of level-0 pixels as positions."""
    return Positions(values, path)


def _plain_key(path: Path, root: zarr.Group) -> str:
    """Return the name of the features of a store of named arrays."""
    names = [name for name, _ in root.arrays()]
    key = first_of(FEATURES, dict.fromkeys(names))
    if key is None:
        raise BagError(
            f"{path.name} holds no features (it holds {', '.join(names) or 'an image'}); "
            "give the store with the features."
        )
    return key


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """Return an array of a store."""
    member = group[name]
    if not isinstance(member, zarr.Array):
        raise ValueError(f"{name} is no array")
    return member


def _entry(attributes: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a group of attributes, empty where there is none."""
    entry = attributes.get(name)
    return entry if isinstance(entry, dict) else {}
