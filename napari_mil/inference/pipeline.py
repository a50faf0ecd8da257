"""From a slide to its answer: plan the tiles, read and encode them, aggregate."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from napari_mil.aggregators import MergeTree
from napari_mil.aggregators.hamil import TreeAggregator
from napari_mil.aggregators.output import link
from napari_mil.bags import (
    Bag,
    ImageBag,
    TileGrid,
    TissueMask,
    open_image_bag,
    read_bag,
    tile_grid,
    tissue_mask,
)
from napari_mil.bags.readers import is_bag
from napari_mil.errors import ClassifierError, NapariMilError, NoTissueError, ResolutionError
from napari_mil.events import (
    CancellationToken,
    Fallback,
    Finished,
    OnEvent,
    Partial,
    Started,
    ignore,
)
from napari_mil.inference.card import IMAGES, TILES, ClassifierCard
from napari_mil.inference.classifier import Classifier, load_classifier
from napari_mil.inference.devices import ForgivingEncoder, choose_device
from napari_mil.inference.embedding import embed_images, embed_tiles
from napari_mil.inference.prediction import Prediction, instance_columns
from napari_mil.settings import Settings
from napari_mil.slides import Slide, open_slide
from napari_mil.slides.fingerprint import fingerprint_file

Mask = TissueMask | Literal["auto"] | None
PARTIAL_EVERY = 0.3
"""Seconds between two partial answers, longer where aggregating what is there takes more than a tenth of the time."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which tiles of a slide are classified, and why these."""

    grid: TileGrid
    tissue: TissueMask | None
    """The tissue they lie on; None where the whole slide is taken."""


def plan_tiles(
    slide: Slide,
    card: ClassifierCard,
    mask: Mask = "auto",
    *,
    tile_px: int | None = None,
    mpp: float | None = None,
    level: int | None = None,
    cancel: CancellationToken | None = None,
) -> Plan:
    """Lay the grid a classifier was trained on; what is given here wins over its card.

    The scale is judged before tissue is looked for, which takes longer.

    Raises
    ------
    NoTissueError
        If no tile lies on tissue.
    MissingMppError, ResolutionError
        See `tile_grid`.
    """
    if card.instances != TILES or card.tile_px is None or card.mpp is None:
        raise ClassifierError(
            f"The classifier {card.name} takes {card.takes}, not slides; choose another classifier."
        )
    side, scale = card.tile_px if tile_px is None else tile_px, card.mpp if mpp is None else mpp
    if level is not None and mpp is not None:
        raise NapariMilError(
            "Tiles have the scale of a level or one of their own: give --level or --mpp, not both."
        )
    whole = tile_grid(slide, side, scale, level, card.overlap)
    tissue = _tissue(slide, mask, cancel)
    grid = whole if tissue is None else tile_grid(slide, side, scale, level, card.overlap, tissue)
    if len(grid) == 0 and tissue is not None and tissue.mask.any():
        raise NoTissueError(
            f"{slide.path.name} has tissue, but no tile of {side} px is half covered by it; use smaller tiles (--tile-px) or the whole image (--mask none)."
        )
    if len(grid) == 0:
        raise NoTissueError(
            f"{slide.path.name} shows no tissue; if it does, draw it in the tissue layer or use the whole image (--mask none)."
        )
    return Plan(grid, tissue)


def _tissue(slide: Slide, mask: Mask, cancel: CancellationToken | None) -> TissueMask | None:
    if not isinstance(mask, str):
        return mask
    if mask != "auto":
        raise NapariMilError(f"mask is 'auto', None or a TissueMask, not {mask!r}.")
    return tissue_mask(slide, cancel)


def scale_remarks(slide: Slide, card: ClassifierCard, grid: TileGrid) -> list[str]:
    """Say where the scale of the tiles is less certain, or another, than the classifier expects."""
    expected = card.mpp or 1.0
    if grid.mpp is None:
        return [
            f"The slide's scale is unknown: tiles are pixels of level {grid.level}, the classifier expects {expected:g} µm per pixel."
        ]
    remarks = []
    if abs(grid.mpp / expected - 1) > 0.2:
        remarks.append(
            f"Tiles have {grid.mpp:.3g} µm per pixel; the classifier was trained at {expected:g}."
        )
    if slide.mpp is not None and slide.mpp > 1.05 * grid.mpp:
        remarks.append(
            f"Tiles are enlarged {slide.mpp / grid.mpp:.2f} times: the slide has {slide.mpp:.3g} µm per pixel at its finest."
        )
    return remarks


def classify(
    target: Slide | Bag | ImageBag | str | os.PathLike[str],
    classifier: Classifier | ClassifierCard | str | os.PathLike[str],
    *,
    device: str = "auto",
    grid: TileGrid | None = None,
    mask: Mask = "auto",
    focus: tuple[float, float] | None = None,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    settings: Settings | None = None,
) -> Prediction:
    """Classify a slide or a bag.

    Parameters
    ----------
    target
        An open slide, a folder of images, a bag of features that the classifier's encoder made, or a path to one of them.
    classifier
        A classifier, its card, its name, or the folder of a bundle.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    grid
        Tiles to use instead of the classifier's own grid on `mask`, which then is only noted.
    mask
        ``"auto"`` detects tissue, None takes the whole slide.
    focus
        (x, y) in level-0 pixels where tiles are encoded first, coarse to fine; None reads row by row. The answer is the same.
    on_event
        Told of progress, partial answers and fallbacks, in the caller's thread.
    cancel
        Asked once per batch.
    settings
        Thread counts and cache sizes.

    Returns
    -------
    Prediction

    Raises
    ------
    NapariMilError
        If an input is at fault; see `errors`.
    """
    settings, on_event, cancel = (
        settings or Settings(),
        on_event or ignore,
        cancel or CancellationToken(),
    )
    loaded = (
        classifier
        if isinstance(classifier, Classifier)
        else load_classifier(_as_name(classifier), settings)
    )
    facts: dict[str, Any] = {}
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        target = open_target(path, settings)
        if isinstance(target, Slide):
            with target:
                return _Run(target, loaded, device, on_event, cancel, settings).classify(
                    grid, mask, focus
                )
        facts = bag_facts(path, target)
    if isinstance(target, Slide):
        return _Run(target, loaded, device, on_event, cancel, settings).classify(grid, mask, focus)
    if isinstance(target, ImageBag):
        facts = bag_facts(target.folder, target)
        target = _embed_folder(target, loaded, device, on_event, cancel, settings)
    return _classify_bag(target, loaded, device, on_event, facts)


def open_target(path: Path, settings: Settings | None = None) -> Slide | Bag | ImageBag:
    """Open what can be classified: a slide, a folder of images, or a feature file.

    Raises
    ------
    NapariMilError
        If it is none of them.
    """
    if not is_bag(path):
        return open_slide(path, settings=settings)
    return open_image_bag(path) if path.is_dir() else read_bag(path)


def bag_facts(path: Path, bag: Bag | ImageBag) -> dict[str, Any]:
    """Return what a prediction keeps of a bag that was no slide: name and fingerprint."""
    return {
        "name": path.stem,
        "fingerprint": bag.fingerprint if isinstance(bag, ImageBag) else fingerprint_file(path),
    }


def _embed_folder(
    images: ImageBag,
    classifier: Classifier,
    device: str,
    on_event: OnEvent,
    cancel: CancellationToken,
    settings: Settings,
) -> Bag:
    card = classifier.card
    if card.instances != IMAGES:
        raise ClassifierError(
            f"The classifier {card.name} takes {card.takes}, not folders of images; choose another classifier."
        )
    chosen = choose_device(device, on_event)
    encoder = classifier.create_encoder(chosen, settings.encoder_threads)
    on_event(Started(len(images), "images"))
    bag = embed_images(
        images, ForgivingEncoder(encoder, on_event), cancel, encoder.smallest_tile, on_event
    )
    return replace(bag, provenance={"bag": images.fingerprint, "encoder": encoder.fingerprint})


def _as_name(classifier: ClassifierCard | str | os.PathLike[str]) -> ClassifierCard | str | Path:
    return classifier if isinstance(classifier, (ClassifierCard, str)) else Path(classifier)


def _classify_bag(
    bag: Bag, classifier: Classifier, device: str, on_event: OnEvent, facts: dict[str, Any]
) -> Prediction:
    started = time.monotonic()
    card = classifier.card
    made_by = bag.provenance.get("encoder")
    if made_by and card.encoder and made_by != card.encoder["fingerprint"]:
        raise ClassifierError(
            f"These features were made by another encoder than the classifier {card.name} was trained on; encode the slide with its own."
        )
    if (
        bag.features.ndim != classifier.aggregator.spatial_dims * 2
        or bag.features.shape[1] != card.in_dim
    ):
        raise ClassifierError(
            f"The classifier {card.name} takes features of length {card.in_dim}, not {bag.features.shape[1:]}; encode the slide with its own encoder."
        )
    remarks: list[str] = list(bag.warnings)
    chosen = choose_device(device, lambda event: _note(event, remarks, on_event))
    prediction = _predict(
        classifier.to(chosen), bag, facts, {"device": str(chosen), "fallbacks": remarks}, started
    )
    on_event(Finished(prediction))
    return prediction


@dataclass
class _Run:
    """One slide on its way through one classifier."""

    slide: Slide
    classifier: Classifier
    device: str
    on_event: OnEvent
    cancel: CancellationToken
    settings: Settings

    def classify(
        self, grid: TileGrid | None, mask: Mask, focus: tuple[float, float] | None
    ) -> Prediction:
        started = time.monotonic()
        card = self.classifier.card
        remarks: list[str] = []

        def listen(event: Any) -> None:
            _note(event, remarks, self.on_event)

        if grid is None:
            planned = plan_tiles(self.slide, card, mask, cancel=self.cancel)
            plan, tissue = planned.grid, planned.tissue
        else:
            plan, tissue = grid, mask if isinstance(mask, TissueMask) else None
        self.cancel.raise_if_cancelled()
        for remark in scale_remarks(self.slide, card, plan):
            listen(Fallback(remark))
        chosen = choose_device(self.device, listen)
        encoder = self.classifier.create_encoder(chosen, self.settings.encoder_threads)
        if plan.tile_px < encoder.smallest_tile:
            raise ResolutionError(
                f"Tiles of {plan.tile_px} px are too small for the encoder {encoder.name!r}; it needs {encoder.smallest_tile}."
            )
        self.on_event(Started(len(plan), "tiles", plan, tissue))
        classifier = self.classifier.to(chosen)
        forgiving = ForgivingEncoder(encoder, listen)
        features = self._embed(plan, forgiving, classifier, focus)
        bag = Bag(
            features,
            plan.coords,
            plan.tile_size0,
            provenance={"grid": plan.fingerprint, "encoder": encoder.fingerprint},
        )
        provenance = {
            "grid": {
                "fingerprint": plan.fingerprint,
                "tile_px": plan.tile_px,
                "mpp": plan.mpp,
                "level": plan.level,
                "stride0": plan.stride0,
            },
            "mpp_source": self.slide.mpp_source,
            "tissue": None if tissue is None else round(tissue.fraction, 4),
            "device": str(forgiving.encoder.device),
            "fallbacks": remarks,
        }
        prediction = _predict(classifier, bag, slide_facts(self.slide), provenance, started)
        self.on_event(Finished(prediction))
        return prediction

    def _embed(
        self,
        grid: TileGrid,
        encoder: ForgivingEncoder,
        classifier: Classifier,
        focus: tuple[float, float] | None,
    ) -> np.ndarray:
        """Encode all tiles, telling partial answers on the way."""
        done = np.zeros(len(grid), bool)
        next_partial = time.monotonic() + PARTIAL_EVERY / 2

        def tell(indices: np.ndarray, features: np.ndarray) -> None:
            nonlocal next_partial
            done[indices] = True
            if time.monotonic() >= next_partial and not done.all():
                began = time.monotonic()
                partial = _partial(classifier, features, np.flatnonzero(done))
                next_partial = time.monotonic() + max(
                    PARTIAL_EVERY, 10 * (time.monotonic() - began)
                )
                self.on_event(partial)

        order = None if focus is None else visiting_order(grid, focus)
        return embed_tiles(
            self.slide,
            grid,
            encoder,
            self.settings,
            self.cancel,
            order=order,
            on_event=self.on_event,
            on_batch=tell,
        )


def visiting_order(grid: TileGrid, focus: tuple[float, float]) -> np.ndarray:
    """Return int (N,): every fourth tile first, then every second, then all; in each pass from `focus` (x, y) outwards."""
    rows, columns = grid.cells[:, 0], grid.cells[:, 1]
    coarse, middle = (rows % 4 == 0) & (columns % 4 == 0), (rows % 2 == 0) & (columns % 2 == 0)
    distance = np.hypot(*(grid.coords + grid.tile_size0 / 2 - np.asarray(focus)).T)
    return np.lexsort((distance, np.where(coarse, 0, np.where(middle, 1, 2))))


def slide_facts(slide: Slide) -> dict[str, Any]:
    """Return what a prediction keeps of a slide: name, fingerprint, dimensions, mpp, vendor."""
    return {
        "name": slide.name,
        "fingerprint": slide.fingerprint,
        "dimensions": list(slide.dimensions),
        "mpp": slide.mpp,
        "vendor": slide.vendor,
    }


def _note(event: Any, remarks: list[str], on_event: OnEvent) -> None:
    if isinstance(event, Fallback):
        remarks.append(event.message)
    on_event(event)


@dataclass(frozen=True)
class _Answer:
    """An aggregator's output as arrays, one column per class."""

    logits: np.ndarray
    probabilities: np.ndarray
    attention: np.ndarray | None
    instance_scores: np.ndarray | None
    critical: np.ndarray | None
    similarity: np.ndarray | None
    tree: MergeTree | None


def _answer(classifier: Classifier, features: np.ndarray) -> _Answer:
    """Aggregate on the classifier's device, or on the CPU where the bag does not fit there."""
    try:
        return _aggregate(classifier, features)
    except torch.OutOfMemoryError:
        if classifier.mean.device.type == "cpu":
            raise
    torch.cuda.empty_cache()
    return _aggregate(classifier.to(torch.device("cpu")), features)


@torch.inference_mode()
def _aggregate(classifier: Classifier, features: np.ndarray) -> _Answer:
    card = classifier.card
    output = classifier.aggregator(classifier.standardise(features))
    scores = (
        None
        if output.instance_logits is None
        else link(output.instance_logits / card.temperature, card.multi_label).cpu().numpy()
    )
    probabilities = link(output.logits / card.temperature, card.multi_label).cpu().numpy()
    return _Answer(
        output.logits.cpu().numpy(),
        _per_class(probabilities, card),
        None if output.attention is None else output.attention.cpu().numpy(),
        None if scores is None else _per_class(scores, card),
        None if output.critical is None else output.critical.cpu().numpy(),
        None if output.similarity is None else output.similarity.cpu().numpy(),
        output.tree
        if isinstance(classifier.aggregator, TreeAggregator)
        else None,  # RAMIL's merges are random and say nothing of the tiles
    )


def _per_class(probabilities: np.ndarray, card: ClassifierCard) -> np.ndarray:
    """Turn (..., 1) of one sigmoid unit into (..., 2): (1 - p, p)."""
    return (
        np.concatenate([1 - probabilities, probabilities], -1)
        if card.link == "sigmoid"
        else probabilities
    )


def _partial(classifier: Classifier, features: np.ndarray, indices: np.ndarray) -> Partial:
    answer = _answer(classifier, features[indices])
    return Partial(
        indices,
        instance_columns(
            classifier.card.classes, answer.attention, answer.instance_scores, answer.similarity
        ),
    )


def _predict(
    classifier: Classifier,
    bag: Bag,
    slide: dict[str, Any],
    provenance: dict[str, Any],
    started: float,
) -> Prediction:
    card = classifier.card
    answer = _answer(classifier, bag.features)
    labels = _labels(card, answer.probabilities)
    return Prediction(
        classes=card.classes,
        logits=answer.logits,
        probabilities=answer.probabilities,
        label=None if card.multi_label else labels[0],
        labels=labels,
        coords=bag.coords,
        tile_size0=bag.tile_size0,
        names=bag.names
        if bag.coords is not None or bag.names is not None
        else tuple(str(k) for k in range(len(bag))),
        attention=answer.attention,
        instance_scores=answer.instance_scores,
        critical=answer.critical,
        similarity=answer.similarity,
        tree=answer.tree,
        slide=slide,
        classifier={
            "name": card.name,
            "fingerprint": classifier.fingerprint,
            "aggregator": card.aggregator["name"],
            "encoder": dict(card.encoder) if card.encoder else None,
            "temperature": card.temperature,
            "threshold": card.threshold,
        },
        provenance={
            **provenance,
            "versions": {
                name: version(name) for name in ("napari-mil", "torch", "numpy", "openslide-python")
            }
            | {"python": platform.python_version()},
            "seconds": round(time.monotonic() - started, 3),
        },
        features=bag,
    )


def _labels(card: ClassifierCard, probabilities: np.ndarray) -> tuple[str, ...]:
    if card.multi_label:
        return tuple(
            name for name, p in zip(card.classes, probabilities, strict=True) if p >= card.threshold
        )
    if len(card.classes) == 2:
        return (card.classes[int(probabilities[1] >= card.threshold)],)
    return (card.classes[int(np.argmax(probabilities))],)
