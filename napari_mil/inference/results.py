"""Folders of results, shared by the window and the command line.

A target is classified into its folder unless its result is there already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.bags import Bag
from napari_mil.errors import OutputError
from napari_mil.events import CancellationToken, OnEvent
from napari_mil.inference.planning import (
    Mask,
    Plan,
    check_content,
    plan_tiles,
    with_assumed_scale,
)
from napari_mil.inference.prediction import INSTANCES_FILE, PREDICTION_FILE, Prediction
from napari_mil.inference.stored_results import StoredResult, read_result
from napari_mil.inference.targets import FindScale, Identity, Target, open_target
from napari_mil.settings import Settings
from napari_mil.slides import Slide

if TYPE_CHECKING:
    from napari_mil.bags import TileSpec
    from napari_mil.inference.card import ClassifierCard
    from napari_mil.inference.classifier import Classifier


@dataclass(frozen=True)
class ClassifyRequest:
    """Options of classifying a target into its folder."""

    tiles: TileSpec | None = None
    """Tiles of slides; None takes those of the classifier."""
    mask: Mask = "auto"
    device: str = "auto"
    anonymous: bool = False
    """Whether to leave the slide's name out, also of the folder."""
    settings: Settings = field(default_factory=Settings)
    """Thread counts, folder and size of the cache."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of classifying one target."""

    prediction: Prediction
    folder: Path
    kept: bool
    """Whether it was there already.

    It is kept if it comes from the same content, classifier and grid.
    """


@dataclass
class ResultStore:
    """Output folder with one folder per slide or bag."""

    out: Path
    _taken: dict[Path, str] = field(default_factory=dict)
    """Fingerprints of the targets by folder given out."""

    def prepare(self) -> None:
        """Check that the output folder can be written.

        A missing folder is made only when there is a result.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        nearest = self.out.absolute()
        try:
            while not os.path.lexists(nearest):
                nearest = nearest.parent
            if not nearest.is_dir():
                raise OutputError(
                    f"{nearest.name} is no folder, so results cannot be written to {self.out}; "
                    "choose another folder."
                )
            # Only writing tells on every file system whether writing works.
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=nearest):
                pass
        except OSError as error:
            raise OutputError(
                f"Results cannot be written to {self.out} ({error.strerror or error}); "
                "choose another folder."
            ) from error

    def place(self, name: str, fingerprint: str) -> tuple[Path, Prediction | None]:
        """Return the folder of a slide or bag and its earlier result.

        A folder of that name that belongs to another slide or bag, of this run or an earlier one,
        is left alone: the next is ``<name>-2``.
        """
        for folder in _candidates(self.out, name):
            if self._taken.get(folder, fingerprint) != fingerprint:
                continue
            earlier = _read_earlier(folder)
            is_same = earlier is not None and earlier.slide.get("fingerprint") == fingerprint
            if is_same or (earlier is None and _is_free(folder)):
                self._taken[folder] = fingerprint
                return folder, earlier
        raise AssertionError("unreachable: there is always a next name")

    def results_named(self, name: str) -> Iterator[StoredResult | Path]:
        """Yield the answers in the folders that `place` tries for a name, up to a free one.

        Where there is no complete answer, the folder is yielded.
        """
        for folder in _candidates(self.out, name):
            if not os.path.lexists(folder):
                return
            try:
                yield read_result(folder)
            except OutputError:
                if _is_free(folder):
                    return
                yield folder

    def classify(
        self,
        target: Target,
        plan: Plan | None,
        classifier: Classifier,
        request: ClassifyRequest,
        on_event: OnEvent,
        cancel: CancellationToken,
    ) -> Outcome:
        """Classify a target into its folder, or keep the result.

        Parameters
        ----------
        target
            An open slide or bag.
        plan
            Its tiles, as `plan_target` lays them.
        classifier
            What answers.
        request
            How it is classified.
        on_event
            Told of progress.
        cancel
            Asked once per batch.

        Raises
        ------
        NapariMilError
            If the target, the classifier or the output folder is at fault.
        """
        from napari_mil.inference.pipeline import classify

        identity = target.identity
        folder, earlier = self.place(_folder_name(target, identity, request), identity.fingerprint)
        if earlier is not None and _is_same_work(earlier, classifier, plan, target):
            return Outcome(earlier, folder, kept=True)
        prediction = classify(
            target,
            classifier,
            device=request.device,
            grid=None if plan is None else plan.grid,
            mask=request.mask if plan is None else plan.tissue,
            on_event=on_event,
            cancel=cancel,
            settings=request.settings,
        )
        if request.anonymous:
            prediction = prediction.anonymous()
        prediction.save(folder)
        return Outcome(prediction, folder, kept=False)


@dataclass
class ResultMaker:
    """Classifies one path after the other into a folder of results."""

    card: ClassifierCard
    request: ClassifyRequest
    store: ResultStore
    slide_mpp: float | None = None
    """Micrometres per level-0 pixel of slides that say none or a wrong one."""
    tile_size0: float | None = None
    """Side of a tile in level-0 pixels, where a feature file does not say it."""
    find_mpp: FindScale | None = None
    """Asked for the scale of slides where none is given."""
    _classifier: Classifier | None = None

    def make(self, path: Path, on_event: OnEvent, cancel: CancellationToken) -> Outcome:
        """Classify a slide or bag, or keep its result.

        Raises
        ------
        NapariMilError
            If the path, the classifier or the output folder is at fault.
        """
        with open_target(
            path, self.slide_mpp, tile_size0=self.tile_size0, find_mpp=self.find_mpp
        ) as target:
            plan = plan_target(target, self.card, self.request, cancel)
            if self._classifier is None:
                # Once there is something to classify: torch takes two seconds to load.
                from napari_mil.inference.classifier import load_classifier

                self._classifier = load_classifier(self.card)
            return self.store.classify(
                target, plan, self._classifier, self.request, on_event, cancel
            )


def plan_target(
    target: Target, card: ClassifierCard, request: ClassifyRequest, cancel: CancellationToken
) -> Plan | None:
    """Lay the tiles of a slide; None for bags.

    Whatever can be refused without torch is refused here.

    Raises
    ------
    NapariMilError
        If target and classifier do not fit, or nothing of the slide can be classified.
    """
    content = target.content
    check_content(content, card)
    if not isinstance(content, Slide):
        return None
    slide = with_assumed_scale(content, card)
    try:
        return plan_tiles(slide, request.tiles or card.tiling, request.mask, cancel=cancel)
    finally:
        if slide is not content:
            slide.close()


def _folder_name(target: Target, identity: Identity, request: ClassifyRequest) -> str:
    if not request.anonymous:
        return identity.name
    kind = "slide" if isinstance(target.content, Slide) else "bag"
    return f"{kind}-{identity.fingerprint[:8]}"


def _is_same_work(
    earlier: Prediction, classifier: Classifier, plan: Plan | None, target: Target
) -> bool:
    """Say whether an earlier answer is that of this classifier on these instances."""
    if earlier.classifier.get("fingerprint") != classifier.fingerprint:
        return False
    if isinstance(target.content, Bag):
        return earlier.tile_size0 == target.content.tile_size0
    grid = earlier.provenance.get("grid", {})
    return plan is None or grid.get("fingerprint") == plan.grid.fingerprint


def _candidates(out: Path, name: str) -> Iterator[Path]:
    yield out / name
    yield from (out / f"{name}-{k}" for k in count(2))


def _read_earlier(folder: Path) -> Prediction | None:
    """Return the complete prediction of a folder, or None."""
    if not (folder / PREDICTION_FILE).is_file():
        return None
    try:
        return Prediction.load(folder)
    except OutputError:
        return None


def _is_free(folder: Path) -> bool:
    """Say whether a folder may be written.

    It is missing, or holds only what an interrupted run left.
    """
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and all(
        entry.name == INSTANCES_FILE or entry.name.startswith(".partial-")
        for entry in folder.iterdir()
    )
