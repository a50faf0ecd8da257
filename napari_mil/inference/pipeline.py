"""Classification of a slide or bag: plan, read, encode, aggregate."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.bags import Bag, ImageBag, TileGrid, TissueMask
from napari_mil.errors import ClassifierError, ResolutionError
from napari_mil.events import (
    CancellationToken,
    Event,
    Fallback,
    Finished,
    OnEvent,
    Partial,
    Started,
    ignore,
)
from napari_mil.findings import FindingKind
from napari_mil.inference.aggregation import answer_bag, predicted_classes
from napari_mil.inference.bag_embedding import BagEmbedder, Embedded
from napari_mil.inference.card import IMAGES, TILES, ClassifierCard
from napari_mil.inference.classifier import Classifier, load_classifier
from napari_mil.inference.devices import choose_device
from napari_mil.inference.likeness import Unlikeness
from napari_mil.inference.planning import (
    Mask,
    check_content,
    plan_tiles,
    scale_remarks,
    with_assumed_scale,
)
from napari_mil.inference.prediction import Prediction, instance_columns
from napari_mil.inference.seen_before import bags_seen_before
from napari_mil.inference.targets import Identity, Target, identity_of_slide, open_target
from napari_mil.inference.visiting import Focus, visiting_order
from napari_mil.settings import Settings
from napari_mil.slides import Slide

PARTIAL_EVERY = 0.3
"""Least seconds between two partial answers."""
PARTIAL_SHARE = 0.1
"""Largest share of the time that partial answers take; slow ones come more rarely."""
TOO_LARGE_A_BAG = "The GPU's memory is too small for the whole bag; the CPU aggregates it instead."
ONE_INSTANCE = "The bag has a single instance: there is nothing to compare it with."


def classify(
    target: Slide | Bag | ImageBag | Target | str | os.PathLike[str],
    classifier: Classifier | ClassifierCard | str | os.PathLike[str],
    *,
    device: str = "auto",
    grid: TileGrid | None = None,
    mask: Mask = "auto",
    focus: Focus | None = None,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    settings: Settings | None = None,
) -> Prediction:
    """Classify a slide or a bag.

    Parameters
    ----------
    target
        An open slide, a folder of images, a bag of features made by the classifier's encoder, an
        opened target with one of these, or a path to one of these.
    classifier
        A classifier, its card, its name, or the folder of a bundle.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    grid
        Tiles to use instead of the classifier's own grid; `mask` is then only noted.
    mask
        ``"auto"`` detects tissue, None takes the whole slide.
    focus
        (x, y), or the part in view as (x, y, width, height), in level-0 pixels: a few tiles of the
        whole tissue are encoded first, then those in view, then the rest, coarse to fine. None
        reads row by row. The answer is the same.
    on_event
        Told of progress, partial answers and fallbacks, in the caller's thread.
    cancel
        Asked once per batch.
    settings
        Thread counts, folder and size of the cache. Features that were made before of the same
        content by the same encoder on the same tiles are taken from there.

    Returns
    -------
    Prediction

    Raises
    ------
    NapariMilError
        If an input is at fault; see `errors`.
    """
    settings = settings or Settings()
    if not isinstance(classifier, Classifier):
        classifier = load_classifier(_name_or_card(classifier), settings)
    run = _Run(classifier, device, on_event or ignore, cancel or CancellationToken(), settings)
    if isinstance(target, (str, os.PathLike)):
        with open_target(Path(target), settings=settings) as opened:
            return run.classify(opened.content, opened.identity, grid, mask, focus)
    if isinstance(target, Target):
        return run.classify(target.content, target.identity, grid, mask, focus)
    if isinstance(target, Slide):
        return run.classify(target, identity_of_slide(target), grid, mask, focus)
    if isinstance(target, ImageBag):
        identity = Identity(target.folder.name, target.fingerprint)
        return run.classify(target, identity, grid, mask, focus)
    return run.classify(target, Identity(), grid, mask, focus)


def _name_or_card(
    classifier: ClassifierCard | str | os.PathLike[str],
) -> ClassifierCard | str | Path:
    return classifier if isinstance(classifier, (ClassifierCard, str)) else Path(classifier)


@dataclass
class _Run:
    """One slide or bag on its way through one classifier."""

    classifier: Classifier
    device: str
    on_event: OnEvent
    cancel: CancellationToken
    settings: Settings
    remarks: list[str] = field(default_factory=list)
    """Sentences on what makes the answer less certain."""
    started: float = field(default_factory=time.monotonic)

    def classify(
        self,
        content: Slide | Bag | ImageBag,
        identity: Identity,
        grid: TileGrid | None,
        mask: Mask,
        focus: Focus | None,
    ) -> Prediction:
        """Classify a slide, a folder of images or a bag."""
        if isinstance(content, Slide):
            slide = with_assumed_scale(content, self.classifier.card)
            try:
                return self._classify_slide(slide, identity, grid, mask, focus)
            finally:
                if slide is not content:
                    slide.close()
        if isinstance(content, ImageBag):
            return self._classify_images(content, identity)
        return self._classify_bag(content, identity)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Fallback):
            self.remarks.append(event.message)
        self.on_event(event)

    def _classify_slide(
        self,
        slide: Slide,
        identity: Identity,
        grid: TileGrid | None,
        mask: Mask,
        focus: Focus | None,
    ) -> Prediction:
        card = self.classifier.card
        tiling = card.tiling
        check_content(slide, card)
        tissue = mask if isinstance(mask, TissueMask) else None
        if grid is None:
            plan = plan_tiles(slide, tiling, mask, cancel=self.cancel)
            grid = plan.grid
            tissue = plan.tissue
        self.cancel.raise_if_cancelled()
        remarks = [finding.text for finding in tissue.findings] if tissue is not None else []
        for remark in (*scale_remarks(slide, card, grid), *remarks):
            self._tell(Fallback(remark))
        chosen = choose_device(self.device, self._tell)
        encoder = self.classifier.create_encoder(chosen, self.settings.encoder_threads)
        if grid.tile_px < encoder.smallest_tile:
            raise ResolutionError(
                f"Tiles of {grid.tile_px} px are too small for the encoder {encoder.name!r}",
                f"it needs {encoder.smallest_tile}",
            )
        self.on_event(Started(len(grid), "tiles", grid, tissue))
        embedder = BagEmbedder(encoder, self.settings, self.cancel, self._tell)
        embedded = self._embed(slide, grid, embedder, self.classifier.to(chosen), focus)
        n_tiles = len(grid)
        assert embedded.grid is not None
        grid = embedded.grid
        for finding in slide.warnings:
            if finding.kind is not FindingKind.UNCERTAIN_SCALE:
                self._tell(Fallback(finding.text))
        bag = Bag(
            embedded.features,
            grid.coords,
            grid.tile_size0,
            provenance={"grid": grid.fingerprint, "encoder": encoder.fingerprint},
        )
        provenance = {
            "grid": {
                "fingerprint": grid.fingerprint,
                "tile_px": grid.tile_px,
                "mpp": grid.mpp,
                "level": grid.level,
                "stride0": grid.stride0,
                "aspect": grid.aspect,
            },
            "origin": list(slide.origin),
            "mpp_source": slide.mpp_source,
            "missing": round(slide.missing, 6),
            "unreadable_tiles": n_tiles - len(grid),
            "tissue": None if tissue is None else round(tissue.fraction, 4),
            "tissue_method": None if tissue is None else str(tissue.method),
            "device": embedded.device,
            **_facts_of_features(embedded),
        }
        return self._predict(self.classifier.to(chosen), bag, identity, provenance)

    def _classify_images(self, images: ImageBag, identity: Identity) -> Prediction:
        check_content(images, self.classifier.card)
        chosen = choose_device(self.device, self._tell)
        encoder = self.classifier.create_encoder(chosen, self.settings.encoder_threads)
        self.on_event(Started(len(images), "images"))
        embedder = BagEmbedder(encoder, self.settings, self.cancel, self._tell)
        embedded = embedder.embed_images(images)
        embedder.offer(embedded)
        bag = Bag(
            embedded.features,
            names=images.names,
            provenance={"bag": images.fingerprint, "encoder": encoder.fingerprint},
            warnings=images.findings,
        )
        return self._classify_bag(bag, identity, _facts_of_features(embedded))

    def _classify_bag(
        self, bag: Bag, identity: Identity, provenance: Mapping[str, Any] | None = None
    ) -> Prediction:
        card = self.classifier.card
        check_content(bag, card)
        dimensions = self.classifier.aggregator.spatial_dims * 2
        if bag.features.ndim != dimensions or bag.features.shape[1] != card.in_dim:
            raise ClassifierError(
                f"The classifier {card.name} takes features of length {card.in_dim}, "
                f"not {bag.features.shape[1:]}; encode the slide with its own encoder."
            )
        for finding in bag.warnings:
            self._tell(Fallback(f"{finding.path.name}: {finding.text}"))
        chosen = choose_device(self.device, self._tell)
        facts = {"device": str(chosen), **(provenance or {})}
        return self._predict(self.classifier.to(chosen), bag, identity, facts)

    def _embed(
        self,
        slide: Slide,
        grid: TileGrid,
        embedder: BagEmbedder,
        classifier: Classifier,
        focus: Focus | None,
    ) -> Embedded:
        """Encode all tiles, or find their features; send partial answers on the way."""
        encoded = np.zeros(len(grid), bool)
        next_partial = time.monotonic() + PARTIAL_EVERY / 2

        def send_partial(indices: np.ndarray, features: np.ndarray) -> None:
            nonlocal next_partial
            encoded[indices] = True
            if time.monotonic() < next_partial or encoded.all():
                return
            began = time.monotonic()
            partial = _partial(classifier, features, np.flatnonzero(encoded))
            took = time.monotonic() - began
            next_partial = time.monotonic() + max(PARTIAL_EVERY, took / PARTIAL_SHARE)
            self.on_event(partial)

        order = None if focus is None else visiting_order(grid, focus)
        embedded = embedder.embed_slide(slide, grid, order=order, on_batch=send_partial)
        embedder.offer(embedded)
        return embedded

    def _predict(
        self,
        classifier: Classifier,
        bag: Bag,
        identity: Identity,
        provenance: Mapping[str, Any],
    ) -> Prediction:
        card = classifier.card
        if len(bag) == 1:
            self._tell(Fallback(ONE_INSTANCE))
        self.cancel.raise_if_cancelled()
        answer = answer_bag(classifier, bag.features)
        if answer.device != classifier.mean.device:
            self._tell(Fallback(TOO_LARGE_A_BAG))
        if seen := bags_seen_before(card, [identity.fingerprint]).remark:
            self._tell(Fallback(seen))
        unlikeness = classifier.unlikeness(bag.features)
        if unlikeness is not None and unlikeness.is_unlike:
            self._tell(Fallback(unlike_words(unlikeness, card)))
        labels = predicted_classes(card, answer.probabilities)
        names = bag.names
        if bag.coords is None and names is None:
            names = tuple(str(k) for k in range(len(bag)))
        prediction = Prediction(
            classes=card.classes,
            logits=answer.logits,
            probabilities=answer.probabilities,
            label=None if card.multi_label else labels[0],
            labels=labels,
            coords=bag.coords,
            tile_size0=bag.tile_size0,
            names=names,
            attention=answer.attention,
            instance_scores=answer.instance_scores,
            critical=answer.critical,
            similarity=answer.similarity,
            unlikeness=unlikeness,
            tree=answer.tree,
            slide=identity.as_dict(),
            classifier=_classifier_facts(classifier),
            provenance={
                **provenance,
                "fallbacks": self.remarks,
                "versions": _versions(),
                "seconds": round(time.monotonic() - self.started, 3),
            },
            features=bag,
        )
        self.on_event(Finished(prediction))
        return prediction


def unlike_words(unlikeness: Unlikeness, card: ClassifierCard) -> str:
    """Return the remark about a bag that is unlike the training data."""
    noun = {TILES: "tiles", IMAGES: "images"}.get(card.instances, "instances")
    return (
        f"This is unlike what {card.name} was trained on: {100 * unlikeness.share:.0f} % of its "
        f"{noun} lie beyond a limit that 5 % of training-like ones do; the answer may mean nothing."
    )


def _classifier_facts(classifier: Classifier) -> dict[str, Any]:
    card = classifier.card
    return {
        "name": card.name,
        "fingerprint": classifier.fingerprint,
        "aggregator": card.aggregator.name,
        "encoder": None if card.encoder is None else asdict(card.encoder),
        "temperature": card.temperature,
        "threshold": card.threshold,
    }


def _facts_of_features(embedded: Embedded) -> dict[str, Any]:
    """Return whether features were made before, and their name in the cache."""
    key = embedded.key if embedded.is_whole else None
    return {"from_cache": embedded.is_cached, "features": key}


def _versions() -> dict[str, str]:
    packages = ("napari-mil", "torch", "numpy", "openslide-python")
    return {
        **{package: version(package) for package in packages},
        "python": platform.python_version(),
    }


def _partial(classifier: Classifier, features: np.ndarray, indices: np.ndarray) -> Partial:
    answer = answer_bag(classifier, features[indices])
    columns = instance_columns(
        classifier.card.classes, answer.attention, answer.instance_scores, answer.similarity
    )
    return Partial(indices, columns)
