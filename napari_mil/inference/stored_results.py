"""Answers on disk without their instances, and whether they still hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_mil.bags import Bag, TissueMethod
from napari_mil.bags.grid import TileSpec, tile_scale
from napari_mil.errors import NapariMilError, OutputError
from napari_mil.inference.card import TILES, ClassifierCard
from napari_mil.inference.feature_cache import FeatureCache
from napari_mil.inference.planning import Mask, with_assumed_scale
from napari_mil.inference.prediction import (
    INSTANCES_FILE,
    PREDICTION_FILE,
    SCHEMA,
    UNLIKE,
    Prediction,
)
from napari_mil.inference.targets import Target
from napari_mil.settings import Settings
from napari_mil.slides import Slide


@dataclass(frozen=True)
class StoredTiles:
    """Scale of the tiles that a slide was answered by."""

    tile_px: int
    mpp: float | None
    tile_size0: float
    stride0: float
    level: int


@dataclass(frozen=True)
class StoredResult:
    """What ``prediction.json`` says of an answer."""

    folder: Path
    name: str
    """Name of the slide or bag; empty where it was left out."""
    fingerprint: str
    """Identifier of the content of the slide or bag."""
    classifier: str
    """Name of the classifier."""
    classifier_fingerprint: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    """One per class."""
    labels: tuple[str, ...]
    """Predicted classes."""
    unlike: float | None
    """How unlike the training data the bag is, 1 is the limit; None where that is unknown."""
    n_instances: int
    tile_size0: float | None
    tiles: StoredTiles | None
    """Tiles of a slide; None for bags."""
    tissue: str | None
    """How tissue was found; None for the whole slide, and for bags."""
    is_slide: bool


def read_result(folder: Path) -> StoredResult:
    """Read an answer without its instances.

    Raises
    ------
    OutputError
        If there is no complete answer in the folder.
    """
    try:
        entries = json.loads((folder / PREDICTION_FILE).read_text(encoding="utf-8"))
        if entries["schema"] != SCHEMA:
            raise ValueError(f"schema {entries['schema']}")
        if not (folder / INSTANCES_FILE).is_file():
            raise ValueError(f"{INSTANCES_FILE} is missing")
        return _parse(folder, entries)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{folder} holds no complete prediction ({error}); classify the slide again."
        ) from error


def _parse(folder: Path, entries: Mapping[str, Any]) -> StoredResult:
    slide = entries["slide"]
    classifier = entries["classifier"]
    unlike = entries.get(UNLIKE)
    tile_size0 = entries["tile_size0"]
    return StoredResult(
        folder=folder,
        name=str(slide.get("name") or ""),
        fingerprint=str(slide.get("fingerprint") or ""),
        classifier=str(classifier.get("name") or ""),
        classifier_fingerprint=str(classifier.get("fingerprint") or ""),
        classes=tuple(map(str, entries["classes"])),
        probabilities=tuple(float(p) for p in entries["probabilities"].values()),
        labels=tuple(map(str, entries["labels"])),
        unlike=None if unlike is None else float(unlike["bag"]),
        n_instances=int(entries["n_instances"]),
        tile_size0=None if tile_size0 is None else float(tile_size0),
        tiles=_parse_tiles(tile_size0, entries["provenance"].get("grid")),
        tissue=entries["provenance"].get("tissue_method"),
        is_slide="dimensions" in slide,
    )


def _parse_tiles(tile_size0: Any, grid: Mapping[str, Any] | None) -> StoredTiles | None:
    if not grid or tile_size0 is None:
        return None
    mpp = grid["mpp"]
    return StoredTiles(
        int(grid["tile_px"]),
        None if mpp is None else float(mpp),
        float(tile_size0),
        float(grid["stride0"]),
        int(grid["level"]),
    )


def read_results(out: Path) -> tuple[StoredResult, ...]:
    """Return the complete answers in a folder of results, by the names of their folders."""
    results = []
    for file in sorted(out.glob(f"*/{PREDICTION_FILE}")):
        try:
            results.append(read_result(file.parent))
        except OutputError:
            continue
    return tuple(results)


def why_outdated(
    result: StoredResult,
    target: Target,
    card: ClassifierCard,
    classifier_fingerprint: str,
    tiles: TileSpec | None = None,
    mask: Mask = "auto",
) -> tuple[str, ...]:
    """Return what is other than when an answer was made, as clauses; nothing where it holds.

    No pixel is read: whether tissue is found in the same places shows when it is classified.

    Parameters
    ----------
    result
        The answer.
    target
        The slide or bag as it is now.
    card, classifier_fingerprint
        The classifier that would answer now.
    tiles
        Tiles of slides; None takes those of the classifier.
    mask
        How tissue would be found.

    Raises
    ------
    NapariMilError
        If the tiles cannot be laid on the slide.
    """
    reasons = []
    if result.fingerprint != target.identity.fingerprint:
        reasons.append("the content is another")
    is_namesake = result.classifier == card.name
    if result.classifier_fingerprint != classifier_fingerprint:
        reasons.append(why_other_classifier(result, card))
    content = target.content
    if isinstance(content, Bag) and result.tile_size0 != content.tile_size0:
        reasons.append("the size of the tiles is another")
    if isinstance(content, Slide) and card.instances == TILES:
        # Another classifier has other tiles; that need not be said.
        if is_namesake and result.tiles != _tiles_now(content, card, tiles or card.tiling):
            reasons.append("the tiles are others")
        if _is_detected(result.tissue) != (mask == "auto"):
            reasons.append("the tissue is another")
    return tuple(reasons)


def why_other_classifier(result: StoredResult, card: ClassifierCard) -> str:
    """Say which classifier is chosen now, or that the one of this name is another one."""
    if result.classifier == card.name:
        return "the classifier was replaced"
    return f"{card.name} is chosen now"


def _is_detected(tissue: str | None) -> bool:
    return tissue is not None and tissue != TissueMethod.DRAWN


def _tiles_now(slide: Slide, card: ClassifierCard, tiles: TileSpec) -> StoredTiles:
    scaled = with_assumed_scale(slide, card)
    try:
        mpp, tile_size0, level = tile_scale(scaled, tiles.px, tiles.mpp, tiles.level)
    finally:
        if scaled is not slide:
            scaled.close()
    stride0 = tile_size0 * (1 - tiles.overlap)
    return StoredTiles(tiles.px, mpp, tile_size0, stride0, level)


def with_kept_features(prediction: Prediction, settings: Settings) -> Prediction:
    """Return an answer with the features it was made of, where the cache still holds them."""
    key = prediction.provenance.get("features")
    if not key:
        return prediction
    features = FeatureCache(settings).load(str(key))
    if features is None or len(features) != prediction.n_instances:
        return prediction
    provenance = {"grid": prediction.provenance.get("grid", {}).get("fingerprint")}
    try:
        bag = Bag(
            features,
            prediction.coords,
            prediction.tile_size0,
            names=prediction.names,
            provenance=provenance,
        )
    except NapariMilError:
        return prediction
    return replace(prediction, features=bag)
