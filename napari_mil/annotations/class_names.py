"""Where GeoJSON of other programs keeps the class of a region."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from napari_mil.annotations.texts import clean

TILE_KINDS = (
    "tile",
    "detection",
    "cell",
    "PathTileObject",
    "PathDetectionObject",
    "PathCellObject",
)
"""Kinds of objects that a program measured and no person drew."""
OTHER_KINDS = ("annotation", "PathAnnotationObject", "tmaCore", "TMACoreObject", "root", "Feature")
"""Further kinds of objects, which are no classes where they stand under ``type``."""
GEOMETRIES = (
    "point",
    "multipoint",
    "linestring",
    "multilinestring",
    "polygon",
    "multipolygon",
    "geometrycollection",
    "rectangle",
    "ellipse",
)
"""Kinds of geometries, which are no classes either."""
KIND_KEYS = ("objecttype", "object_type", "type")
"""Properties that hold the kind of an object, casefolded."""
CLASS_KEYS = (
    "classification",
    "class",
    "class_name",
    "classname",
    "category",
    "category_name",
    "categoryname",
    "label",
    "type",
    "name",
)
"""Properties in which programs keep the class of a region, casefolded, the surest first."""
NAME_KEYS = ("name", "names")
"""Entries of a class that is kept as an object, as QuPath does."""
LIKE_CLASSES = frozenset(
    (
        "annotation",
        "category",
        "class",
        "classification",
        "diagnosis",
        "group",
        "label",
        "name",
        "pathology",
        "region",
        "structure",
        "term",
        "tissue",
        "type",
        "value",
    )
)
"""Words in the name of a property that make it look like a class."""
NO_CLASSES = frozenset(
    (
        "at",
        "author",
        "by",
        "case",
        "color",
        "colour",
        "comment",
        "comments",
        "created",
        "creator",
        "date",
        "description",
        "editor",
        "file",
        "filename",
        "fill",
        "fid",
        "guid",
        "id",
        "ids",
        "image",
        "index",
        "kind",
        "layer",
        "level",
        "locked",
        "magnification",
        "measurement",
        "measurements",
        "metadata",
        "modified",
        "note",
        "notes",
        "owner",
        "path",
        "plane",
        "position",
        "program",
        "project",
        "remark",
        "remarks",
        "scanner",
        "shape",
        "slide",
        "software",
        "source",
        "split",
        "stain",
        "status",
        "stroke",
        "time",
        "timestamp",
        "tool",
        "unit",
        "units",
        "updated",
        "uri",
        "url",
        "user",
        "username",
        "uuid",
        "version",
        "visible",
    )
)
"""Words in the name of a property that is no class."""
NO_NAMES = re.compile(
    r"""
    [\W\d_]*                                      # numbers, dates
    | \d{4}-\d\d?-\d\d?[T\s].*                   # dates with a time
    | \#[0-9a-f]{3,8} | rgba?\(.*                 # colours
    | [0-9a-f]{8}-[0-9a-f-]{20,} | [0-9a-f]{16,}  # identifiers
    | .*://.* | [/\\].* | [a-z]:\\.*              # addresses
    | true | false | yes | no | none | null | nan | n/a
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""Values that name nothing."""
LONGEST_NAME = 100
"""Characters of a text from which it is a remark rather than the name of a class."""

_KINDS = frozenset(kind.casefold() for kind in (*TILE_KINDS, *OTHER_KINDS, *GEOMETRIES))


def find_name(properties: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the name of a region's class, wherever its program put it.

    Parameters
    ----------
    properties
        Properties of a feature.

    Returns
    -------
    tuple of str, or None
        The name, and the property that holds it where that is none of those known to hold classes
        (`CLASS_KEYS`) but looks like one; None where nothing does. Several names are joined as
        QuPath joins them.
    """
    folded = {str(key).casefold(): (str(key), value) for key, value in properties.items()}
    for key in CLASS_KEYS:
        written, value = folded.get(key, ("", None))
        name = _name_in(value)
        if name:
            return name, ""
        inside = _named_otherwise(value) if isinstance(value, dict) else None
        if inside is not None:
            return inside[0], f"{written}.{inside[1]}"
    return _named_otherwise(properties)


def _name_in(value: Any) -> str:
    """Return the name that a property holds; empty without one."""
    if isinstance(value, dict):
        entries = {str(key).casefold(): entry for key, entry in value.items()}
        return next(filter(None, (_joined(entries.get(key)) for key in NAME_KEYS)), "")
    return _text(value[0]) if isinstance(value, list) and len(value) == 1 else _text(value)


def _joined(names: Any) -> str:
    entries = names if isinstance(names, list) else [names]
    return ": ".join(filter(None, map(_text, entries)))


def _text(value: Any) -> str:
    """Return a text or a number as a name; empty for what is neither, and for kinds of objects."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    name = clean(str(value))
    return "" if name.casefold() in _KINDS else name


def _named_otherwise(properties: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Return the text that looks most like a class, and its property."""
    alike: list[tuple[bool, str, str]] = []
    for key, value in properties.items():
        words = set(re.findall(r"[A-Z]?[a-z]+|[A-Z]+", str(key)))
        folded = {word.casefold() for word in words}
        text = value[0] if isinstance(value, list) and len(value) == 1 else value
        name = _text(text) if isinstance(text, str) else ""
        is_name = name and len(name) <= LONGEST_NAME and not NO_NAMES.fullmatch(name)
        if is_name and str(key).casefold() not in KIND_KEYS and not folded & NO_CLASSES:
            alike.append((not folded & LIKE_CLASSES, name, clean(str(key))))
    if not alike:
        return None
    _, name, key = min(alike, key=lambda found: found[0])
    return name, key
