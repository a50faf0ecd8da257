"""Scores of a classifier on a labelled cohort that it was not trained on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mil.errors import (
    CancelledError,
    NapariMilError,
    OptionError,
    OutputError,
    TrainingError,
)
from napari_mil.events import (
    CancellationToken,
    Event,
    Fallback,
    Finished,
    OnEvent,
    Started,
    ignore,
)
from napari_mil.files import whole_or_nothing
from napari_mil.findings import Finding, FindingKind
from napari_mil.inference.card import TILES, ClassifierCard
from napari_mil.inference.classifier import Classifier, load_classifier
from napari_mil.inference.devices import choose_device
from napari_mil.inference.embedding import Progress
from napari_mil.inference.pipeline import classify
from napari_mil.inference.results import ClassifyRequest, plan_target
from napari_mil.inference.seen_before import bags_seen_before
from napari_mil.inference.targets import open_target
from napari_mil.training.cohorts.cohort import Cohort, CohortBag
from napari_mil.training.evaluation.answers import Answers, Link, labelled_bags
from napari_mil.training.evaluation.class_matching import MatchedCohort, match_classes
from napari_mil.training.evaluation.predictions_table import PredictionsTable
from napari_mil.training.evaluation.score import Likeness, Score
from napari_mil.training.evaluation.summaries import (
    calibration_errors,
    estimate_figures,
    find_few_patients,
)
from napari_mil.training.layout import ANSWERS, EVALUATION, PREDICTIONS, SCORE, refuse_among_bags
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.slide_scales import check_scales


def score(
    cohort: Cohort,
    classifier: Classifier | ClassifierCard | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    mapping: Mapping[str, str] | None = None,
    request: ClassifyRequest | None = None,
    slide_mpp: float | None = None,
    resume: bool = False,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
) -> Score:
    """Classify the bags of a labelled cohort, and tell how well that went.

    Parameters
    ----------
    cohort
        Cohort that `scan_annotated_folder` returned, of any kind that the classifier takes.
    classifier
        A classifier, its card, its name, or the folder of a bundle.
    out
        Folder for ``score.json`` and ``predictions.csv``; the answer for every bag is kept there
        once it is made.
    mapping
        Class of the classifier by class of the cohort, where names differ.
    request
        Tiles, mask and device.
    slide_mpp
        Micrometres per level-0 pixel of slides that do not say it.
    resume
        Use the answers in `out` that were made in the same way.
    on_event
        Called with the number of bags that are done, remarks, and bags that fail.
    cancel
        Token that ends the work; answers are kept.

    Returns
    -------
    Score

    Raises
    ------
    OptionError
        If no class of the cohort is one of the classifier's, or the mapping does not fit.
    TrainingError
        If the cohort has no bags, none can be classified, or another run is at work in the folder.
    OutputError
        If the folder cannot be written, or holds an evaluation.
    """
    on_event = on_event or ignore
    request = request or ClassifyRequest()
    if not isinstance(classifier, Classifier):
        card = classifier if isinstance(classifier, (ClassifierCard, str)) else Path(classifier)
        classifier = load_classifier(card, request.settings)
    if not cohort.bags:
        cohort.check()  # says why there are none
    matched = match_classes(
        cohort,
        classifier.card.classes,
        mapping or {},
        multi_label=classifier.card.multi_label,
    )
    folder = RunFolder(Path(out))
    refuse_among_bags(folder.path, cohort)
    with folder.locked():
        if (folder.path / EVALUATION).is_file():
            raise OutputError(
                f"{folder.path} holds an evaluation, whose {PREDICTIONS} would be lost; "
                "choose another folder."
            )
        device = str(choose_device(request.device, on_event))
        scorer = _Scorer(
            classifier,
            replace(request, device=device),
            slide_mpp,
            folder.path / ANSWERS,
            on_event,
            cancel or CancellationToken(),
        )
        if not resume:
            shutil.rmtree(folder.path / ANSWERS, ignore_errors=True)
        for remark in _remarks_on_classes(matched, classifier.card):
            on_event(Fallback(remark))
        result = scorer.score(matched)
        folder.write(PREDICTIONS, PredictionsTable.of(result.answers).text())
        text = json.dumps(result.as_dict(), indent=1, ensure_ascii=False)
        folder.write(SCORE, text + "\n")
    on_event(Finished(result))
    return result


def _remarks_on_classes(matched: MatchedCohort, card: ClassifierCard) -> list[str]:
    """Return sentences on classes that are taken for others, or for none."""
    remarks = [
        f"The class {name} of the cohort is taken for {own}." for name, own in matched.renamed
    ]
    if matched.unmatched:
        unmapped = " and ".join(matched.unmapped)
        remarks.append(
            f"{' and '.join(matched.unmatched)} is none of the classes of {card.name} "
            f"({', '.join(card.classes)}): {matched.n_left_out} bags are left out"
            + (f"; map {unmapped} to score them." if unmapped else ", as the mapping says.")
        )
    missing = [name for name, count in matched.cohort.counts.items() if not count]
    if missing:
        remarks.append(
            f"No bag of the class {' or '.join(missing)} is there: "
            "figures that need it do not exist."
        )
    return remarks


@dataclass(frozen=True)
class _Answer:
    """Answer for one bag, as it is kept on disk."""

    logits: tuple[float, ...]
    unlike: float | None
    remarks: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> _Answer | None:
        """Read an answer; None where there is none, or it was cut short."""
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(entries["logits"]), entries["unlike"], tuple(entries["remarks"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write the answer, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        entries = {
            "logits": list(self.logits),
            "unlike": self.unlike,
            "remarks": list(self.remarks),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_nothing(path) as part:
                part.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"Answers cannot be kept in {path.parent} ({error.strerror or error}); "
                "make room, then resume."
            ) from error


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Classifies the bags of a cohort one by one."""

    classifier: Classifier
    request: ClassifyRequest
    slide_mpp: float | None
    folder: Path
    """Folder of the answers."""
    on_event: OnEvent
    cancel: CancellationToken

    def score(self, matched: MatchedCohort) -> Score:
        """Classify the bags, and sum up."""
        cohort, failed = self._without_scaleless(matched.cohort)
        found: dict[int, _Answer] = {}
        self.on_event(Started(len(cohort), "bags"))
        progress = Progress(len(cohort))
        for b, bag in enumerate(cohort.bags):
            self.cancel.raise_if_cancelled()
            try:
                found[b] = self._answer(bag)
            except (CancelledError, OutputError, OptionError):
                raise
            except NapariMilError as error:
                failed.append(Finding(FindingKind.SKIPPED, bag.path, str(error)))
                reason = str(error).removeprefix(bag.path.name + " ")
                self.on_event(Fallback(f"{bag.path.name} is left out: {reason}"))
            self.on_event(progress.advance(1))
        if not found:
            raise TrainingError(
                f"No bag of {cohort.root.name} can be classified by {self.classifier.card.name}; "
                f"the first one: {failed[0].text}"
            )
        answered = cohort.only(sorted(found))
        return self._sum_up(answered, [found[b] for b in sorted(found)], matched, failed)

    def _without_scaleless(self, cohort: Cohort) -> tuple[Cohort, list[Finding]]:
        """Leave out slides without a usable scale, said in one line whatever their number.

        Raises
        ------
        TrainingError
            If nothing is left.
        """
        card = self.classifier.card
        tiles = self.request.tiles or (card.tiling if card.instances == TILES else None)
        if tiles is None or tiles.level is not None:
            return cohort, []
        assumed = card.slide_mpp if self.slide_mpp is None else self.slide_mpp
        check = check_scales(cohort, assumed, tiles.mpp)
        check.refuse_if_useless(cohort.root.name)
        for finding in check.findings:
            self.on_event(Fallback(finding.text))
        reason = "It has no scale at which it can be cut into tiles."
        left_out = [Finding(FindingKind.SKIPPED, bag.path, reason) for bag in check.useless]
        return replace(cohort, bags=check.usable), left_out

    def _answer(self, bag: CohortBag) -> _Answer:
        """Return the answer for a bag: kept, or made now and kept."""
        path = self.folder / f"{self._key(bag)}.json"
        kept = _Answer.load(path)
        if kept is not None:
            return kept
        answer = self._classify(bag)
        answer.save(path)
        return answer

    def _key(self, bag: CohortBag) -> str:
        """Return an identifier of all that an answer depends on."""
        facts = (
            bag.content,
            self.classifier.fingerprint,
            self.request.tiles,
            self.request.mask,
            self.slide_mpp if bag.mpp is None else None,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]

    def _classify(self, bag: CohortBag) -> _Answer:
        remarks: list[str] = []

        def listen(event: Event) -> None:
            if isinstance(event, Fallback):
                remarks.append(event.message)

        request = self.request
        mpp = self.slide_mpp if bag.mpp is None else None
        with open_target(bag.path, mpp, request.settings) as target:
            plan = plan_target(target, self.classifier.card, request, self.cancel)
            prediction = classify(
                target,
                self.classifier,
                device=request.device,
                grid=None if plan is None else plan.grid,
                mask=request.mask if plan is None else plan.tissue,
                on_event=listen,
                cancel=self.cancel,
                settings=request.settings,
            )
        unlikeness = prediction.unlikeness
        return _Answer(
            tuple(prediction.logits.tolist()),
            None if unlikeness is None else unlikeness.bag,
            tuple(remarks),
        )

    def _sum_up(
        self,
        cohort: Cohort,
        found: Sequence[_Answer],
        matched: MatchedCohort,
        failed: Sequence[Finding],
    ) -> Score:
        card = self.classifier.card
        seen = bags_seen_before(card, [bag.content for bag in cohort.bags])
        answers = _answers(cohort, card, found)
        likeness = _likeness(answers)
        on_bags = [
            Finding(FindingKind.REMARK, bag.path, remark)
            for bag, one in zip(cohort.bags, found, strict=True)
            for remark in one.remarks
        ]
        remarks = [remark for remark in (seen.remark, likeness.words) if remark]
        # A class without any bag has a remark of its own.
        remarks += [few.text for few in find_few_patients(cohort) if few.patients]
        if on_bags:
            n_bags = len({finding.path for finding in on_bags})
            remarks.append(f"{n_bags} of {len(cohort)} bags have remarks; they stand in {SCORE}.")
        for remark in remarks:
            self.on_event(Fallback(remark))
        return Score(
            classifier=card.name,
            fingerprint=self.classifier.fingerprint,
            cohort=cohort.root.name,
            classes=card.classes,
            n_bags=len(cohort),
            n_patients=len(set(cohort.groups)),
            unit=cohort.unit,
            selection=f"the classifier's temperature {card.temperature:g} and threshold "
            f"{card.threshold:g}",
            metrics=estimate_figures(answers, answers.threshold),
            calibration=calibration_errors(answers, "these"),
            likeness=likeness,
            seen=seen,
            failed=tuple(failed),
            remarks=(*_remarks_on_classes(matched, card), *remarks),
            bag_remarks=tuple(on_bags),
            answers=answers,
        )


def _answers(cohort: Cohort, card: ClassifierCard, found: Sequence[_Answer]) -> Answers:
    """Return the answers of one classifier for all bags."""
    shape = (1, len(cohort))
    unlike = np.array([np.nan if one.unlike is None else one.unlike for one in found])
    return Answers(
        classes=card.classes,
        link=Link(card.link),
        bags=labelled_bags(cohort),
        groups=cohort.groups,
        uncalibrated=np.array([one.logits for one in found], np.float64)[None],
        temperature=np.full(shape, card.temperature),
        threshold=np.full(shape, card.threshold),
        unlike=None if np.isnan(unlike).all() else unlike,
    )


def _likeness(answers: Answers) -> Likeness:
    if answers.unlike is None:
        return Likeness(0, 0, float("nan"))
    known = answers.unlike[~np.isnan(answers.unlike)]
    return Likeness(len(known), int((known > 1).sum()), float(np.median(known)))
