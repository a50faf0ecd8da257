"""Folders that are no classes: kinds of files of the same bags, and splits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from napari_mil.bags.names import bag_name
from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.cohort import TABLE
from napari_mil.training.cohorts.tables.columns import plain_name
from napari_mil.training.cohorts.tables.listing import SPLITS

KIND_WORDS = frozenset(
    (
        *("features", "feature", "feats", "feat", "embeddings", "embedding", "graphs"),
        *("h5", "hdf5", "pt", "pth", "npy", "npz", "safetensors", "zarr", "csv", "files"),
        *("svs", "tif", "tiff", "png", "jpg", "wsi", "wsis", "slides", "images"),
        *("patches", "tiles", "coords", "coordinates", "masks", "stitches", "thumbnails"),
        *("thumbs", "contours", "geojson", "visualization", "visualizations", "heatmaps"),
    )
)
"""Words of folders that tools name by what lies in them."""
ENCODER_WORDS = frozenset(
    (
        *("uni", "conch", "titan", "virchow", "gigapath", "prov", "phikon", "ctranspath", "chief"),
        *("hoptimus", "optimus", "hibou", "kaiko", "lunit", "plip", "quilt", "quiltnet", "musk"),
        *("midnight", "retccl", "hipt", "kimianet", "resnet", "resnet18", "resnet34", "resnet50"),
        *("resnet101", "densenet", "densenet121", "efficientnet", "imagenet", "dino", "dinov2"),
        *("simclr", "moco", "vit", "swin", "clip", "texture"),
    )
)
"""Words of encoders' names."""
MEASURE = re.compile(r"\d+(x|px|mpp|um)|overlap")
"""Words that say a magnification or the size of tiles."""
VERSION = re.compile(r"v?\d+")
"""Words that number kinds of files, or patients."""
LEAST_SHARED = 0.75
"""Share of the smaller folder's bags that lie in another kind of files too."""


def refuse_kinds_and_splits(root: Path, bags: Mapping[str, Sequence[Path]]) -> None:
    """Refuse folders that are neither classes nor patients.

    Both may number their bags alike, so equal names alone are no reason.

    Parameters
    ----------
    root
        Where the folders lie.
    bags
        Bags by the name of their folder.

    Raises
    ------
    TrainingError
        If two folders hold the same bags in several kinds of files or features, or the folders are
        those of splits.
    """
    by_folder = {
        folder: {bag_name(path): path.suffix.lower() for path in paths}
        for folder, paths in bags.items()
    }
    _refuse_splits(root, list(by_folder))
    kinds = {name for name in by_folder if has_kind(name)}
    pairs = combinations(sorted(by_folder), 2) if kinds else ()
    for first, second in pairs:
        if first not in kinds and second not in kinds:
            continue
        a = by_folder[first]
        b = by_folder[second]
        are_kinds = _name_kinds(first, second) and _share_most(a, b)
        if are_kinds or _are_other_files(a, b):
            raise TrainingError(_kinds_text(root, first, second, a, b))


def _refuse_splits(root: Path, folders: Sequence[str]) -> None:
    """Refuse folders of which several are named as splits."""
    splits = [name for name in folders if is_split(name)]
    if len({SPLITS[plain_name(name)] for name in splits}) > 1:
        raise TrainingError(
            f"{', '.join(splits)} in {root.name} are splits, not classes or bags; list the bags "
            f"in a {TABLE} (slide,label,split) instead."
        )


def _are_other_files(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    """Say whether two folders hold the same bags in files of other endings."""
    return len(a) > 1 and a.keys() == b.keys() and all(a[name] != b[name] for name in a)


def _share_most(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    """Say whether most bags of the smaller folder lie in the other one too."""
    shared = a.keys() & b.keys()
    return len(shared) > 1 and len(shared) >= LEAST_SHARED * min(len(a), len(b))


def _name_kinds(first: str, second: str) -> bool:
    """Say whether the names of two folders differ in the kind of their files alone."""
    a, b = map(_words, (first, second))
    differing = a ^ b
    return (
        any(map(_is_kind, a))
        and any(map(_is_kind, b))
        and any(_is_kind(word) or not word.isdecimal() for word in differing)
        and all(_is_kind(word) or VERSION.fullmatch(word) for word in differing)
    )


def is_split(name: str) -> bool:
    """Say whether a folder has the name of a split."""
    return plain_name(name) in SPLITS


def says_patient(folder: Path) -> bool:
    """Say whether the name of a folder within a class may be a patient's."""
    return not (says_kind(folder) or is_split(folder.name))


def says_kind(folder: Path) -> bool:
    """Say whether the name of a folder says a kind of files and nothing else."""
    # "Slides 1" may be a patient's.
    words = _words(folder.name)
    is_version = any(word.startswith("v") and VERSION.fullmatch(word) for word in words)
    known = (word for word in words if not (is_version and VERSION.fullmatch(word)))
    return has_kind(folder.name) and all(map(_is_kind, known))


def has_kind(name: str) -> bool:
    """Say whether the name of a folder holds a word for a kind of files."""
    return any(map(_is_kind, _words(name)))


def _words(name: str) -> set[str]:
    return set(re.split(r"[\W_]+", name.lower())) - {""}


def _is_kind(word: str) -> bool:
    return bool(word in KIND_WORDS or word in ENCODER_WORDS or MEASURE.fullmatch(word))


def _kinds_text(
    root: Path,
    first: str,
    second: str,
    a: Mapping[str, str],
    b: Mapping[str, str],
) -> str:
    """Return the refusal of two kinds of files or features of the same bags."""
    shared = a.keys() & b.keys()
    share = "hold the same" if a.keys() == b.keys() else "share"
    hold = f"{first} and {second} in {root.name} {share} {len(shared)} bags, {min(shared)} for one"
    if all(a[name] != b[name] for name in shared):
        return (
            f"{hold}: these are kinds of files, not classes; say the classes in a {TABLE} "
            "beside them."
        )
    return (
        f"{hold}: these are kinds of features or files, not classes; give one of the two folders, "
        f"with a {TABLE} in it that says the classes."
    )
