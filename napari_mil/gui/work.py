"""What jobs of the window compute with torch; imported in threads alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.aggregators import MergeTree
from napari_mil.bags import Bag, ImageBag, TileSpec
from napari_mil.events import CancellationToken, OnEvent
from napari_mil.gui.model.answers import Answer, Linkage
from napari_mil.gui.model.mining import Mining
from napari_mil.inference.card import TILES, ClassifierCard
from napari_mil.inference.classifier import load_classifier, open_published
from napari_mil.inference.evidence import Evidence, gather_evidence
from napari_mil.inference.explanation import (
    with_average_tree,
    with_masks,
    with_tree,
    with_ward_tree,
)
from napari_mil.inference.pipeline import classify
from napari_mil.inference.planning import Mask, plan_tiles, with_assumed_scale
from napari_mil.inference.prediction import Prediction
from napari_mil.inference.targets import Target
from napari_mil.inference.visiting import Focus
from napari_mil.settings import Settings
from napari_mil.slides import Slide
from napari_mil.worklist.items import WorkItem
from napari_mil.worklist.running import classify_all
from napari_mil.worklist.states import Question


@dataclass(frozen=True, eq=False)
class ClassifyWork:
    """What is classified, by what and how."""

    path: Path
    content: Slide | ImageBag | Bag
    card: ClassifierCard
    mask: Mask
    level: int | None
    device: str
    focus: Focus | None
    """Part in view, in level-0 pixels, whose tiles are encoded first."""
    settings: Settings


def classify_subject(
    work: ClassifyWork, on_event: OnEvent, cancel: CancellationToken
) -> Prediction:
    """Classify what is open.

    Raises
    ------
    NapariMilError
        If an input is at fault.
    """
    torch.set_num_threads(work.settings.encoder_threads)
    grid = None
    mask: Mask = work.mask
    if isinstance(work.content, Slide) and work.card.instances == TILES:
        own = work.card.tiling
        tiles = TileSpec(own.px, own.mpp, own.overlap, work.level)
        slide = with_assumed_scale(work.content, work.card)
        try:
            plan = plan_tiles(slide, tiles, work.mask, cancel=cancel)
        finally:
            if slide is not work.content:
                slide.close()
        grid = plan.grid
        mask = plan.tissue
    return classify(
        Target(work.path, work.content),
        work.card,
        device=work.device,
        grid=grid,
        mask=mask,
        focus=work.focus,
        on_event=on_event,
        cancel=cancel,
        settings=work.settings,
    )


def grow_tree(
    answer: Answer, linkage: Linkage, settings: Settings, cancel: CancellationToken
) -> MergeTree:
    """Grow a tree of the bag of an answer.

    Raises
    ------
    NapariMilError
        If its features are gone, or its classifier has changed.
    """
    tree = _tree_of(answer, linkage, settings, cancel)
    # They are kept with the tree: computed here, drawings do not hold up the window.
    _ = tree.sizes, tree.leaf_order
    return tree


def _tree_of(
    answer: Answer, linkage: Linkage, settings: Settings, cancel: CancellationToken
) -> MergeTree:
    prediction: Prediction = answer.prediction
    if linkage is Linkage.OWN and prediction.tree is not None:
        return prediction.tree
    torch.set_num_threads(settings.encoder_threads)
    classifier = load_classifier(answer.card, settings)
    if linkage is Linkage.WARD:
        return with_ward_tree(prediction, classifier, cancel.raise_if_cancelled)
    if linkage is Linkage.AVERAGE:
        return with_average_tree(prediction, classifier, cancel.raise_if_cancelled)
    tree = with_tree(prediction, classifier, cancel.raise_if_cancelled).tree
    assert tree is not None
    return tree


def ask_masks(
    answer: Answer, mining: Mining, settings: Settings, cancel: CancellationToken
) -> Mapping[str, np.ndarray]:
    """Ask what a mining strategy would mask of the bag of an answer.

    Raises
    ------
    NapariMilError
        If its features are gone, or its classifier cannot be a teacher.
    """
    torch.set_num_threads(settings.encoder_threads)
    classifier = load_classifier(answer.card, settings)
    masks = with_masks(answer.prediction, classifier, mining.strategy, mining.ratios).masks
    cancel.raise_if_cancelled()
    return masks


def gather(answer: Answer, settings: Settings, cancel: CancellationToken) -> Evidence:
    """Ask what the instances of an answer count for.

    Raises
    ------
    NapariMilError
        If its features are gone, or its classifier has changed.
    """
    torch.set_num_threads(settings.encoder_threads)
    classifier = load_classifier(answer.card, settings)
    return gather_evidence(answer.prediction, classifier, cancel.raise_if_cancelled)


def fingerprint_of(card: ClassifierCard, settings: Settings) -> str:
    """Return the fingerprint of a classifier, by which answers know it.

    Raises
    ------
    NapariMilError
        If its weights cannot be read.
    """
    return load_classifier(card, settings).fingerprint


def classify_worklist(
    items: Sequence[WorkItem],
    wanted: Sequence[int],
    question: Question,
    on_event: Callable[[Any], None],
    cancel: CancellationToken,
) -> None:
    """Classify slides and bags of a worklist, with the threads that the window leaves.

    Raises
    ------
    NapariMilError
        If the folder of results cannot be written.
    """
    torch.set_num_threads(question.request.settings.encoder_threads)
    classify_all(items, wanted, question, on_event, cancel)


def card_of_checkpoint(path: Path) -> ClassifierCard:
    """Return the card of another project's checkpoint.

    Raises
    ------
    CheckpointError
        If it cannot be opened safely, or is of no known project.
    """
    return open_published(path).card
