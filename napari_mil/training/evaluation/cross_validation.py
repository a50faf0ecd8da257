"""Repeated, stratified, grouped cross-validation of a way of training.

Nothing is chosen on the fold that is reported, unless the published protocol is asked for; see
`protocols`.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from napari_mil.errors import OptionError
from napari_mil.events import CancellationToken, Fallback, Finished, OnEvent, Started, ignore
from napari_mil.inference.card import read_card
from napari_mil.inference.classifier import Classifier, load_classifier, write_card
from napari_mil.inference.devices import choose_device
from napari_mil.inference.embedding import Progress
from napari_mil.inference.seen_before import SeenBefore, bags_seen_before
from napari_mil.settings import Settings
from napari_mil.training.bundle import TEST_SPLIT, notes
from napari_mil.training.bundle import VALIDATION as VALIDATION_ENTRY
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import MACHINE_FIELDS, MEMORY_FIELDS, TrainingConfig
from napari_mil.training.determinism import deterministic
from napari_mil.training.evaluation.fold_runs import FoldRunner, FoldTraining
from napari_mil.training.evaluation.folds import FoldTask
from napari_mil.training.evaluation.given_folds import GivenFolds, folds_text
from napari_mil.training.evaluation.predictions_table import PredictionsTable
from napari_mil.training.evaluation.protocols import Design, Protocol, published_rule
from napari_mil.training.evaluation.splits import draw_folds, fold_tasks, tasks_of, why_none
from napari_mil.training.evaluation.summaries import Evaluation, find_few_patients, summarise
from napari_mil.training.layout import (
    EVALUATION,
    FOLD_MODELS,
    FOLDS,
    FOLDS_TABLE,
    PREDICTIONS,
    VALIDATION,
    refuse_among_bags,
)
from napari_mil.training.network import make_plan
from napari_mil.training.run import fill_in_config
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.store import BagStore

__all__ = ["Evaluation", "Protocol", "cross_validate", "fold_tasks"]


def cross_validate(
    cohort: Cohort,
    config: TrainingConfig,
    *,
    folds: int = 5,
    repeats: int = 1,
    protocol: Protocol = "honest",
    out: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    cancel: CancellationToken | None = None,
    resume: bool = False,
    workers: int | None = None,
    given: GivenFolds | None = None,
    keep_models: bool = False,
    settings: Settings | None = None,
) -> Evaluation:
    """Estimate how well a configuration classifies bags of new patients.

    Parameters
    ----------
    cohort
        Cohort that `scan_annotated_folder` returned; splits in its table are not used.
    config
        How to train in each fold.
    folds, repeats
        Number of folds by patient, and of draws of them.
    protocol
        ``"honest"``, or ``"published"``: choose on the test fold as the method's paper did, and
        label the figures so.
    out
        Folder for ``evaluation.json``, ``predictions.csv``, ``validation.csv`` and ``folds.csv``;
        finished folds are kept there too, so that `resume` does not train them again.
    on_event
        Called with the number of finished folds.
    cancel
        Token that ends the work; finished folds are kept, those that are trained together once
        all of them are done.
    resume
        Use the finished folds in `out`.
    workers
        Processes; by default one per core. The result does not depend on their number.
    given
        Folds to use instead of drawing `folds` and `repeats`; see `read_folds`.
    keep_models
        Whether to write the classifier of every fold to ``models/`` in `out`.
    settings
        Folders and thread counts.

    Returns
    -------
    Evaluation

    Raises
    ------
    OptionError
        If folds, repeats, protocol or workers are out of range.
    TrainingError
        If there are fewer patients than folds, a fold leaves one class, or the given folds do not
        fit the cohort.
    """
    if folds < 2 or repeats < 1:
        raise OptionError(
            f"Cross-validation needs at least 2 folds and 1 repeat, not {folds} and {repeats}."
        )
    if protocol not in ("honest", "published"):
        raise OptionError(f"There is no protocol {protocol!r}; choose honest or published.")
    if workers is not None and workers < 1:
        raise OptionError(f"Folds need at least 1 process, not {workers}.")
    if protocol == "published":
        published_rule(config)  # refuses a method without one
        if "recipe" not in config.model_fields_set:
            config = config.model_copy(update={"recipe": "published"})
    if keep_models and (out is None or protocol == "published"):
        raise OptionError(
            "Models of folds are kept in the folder of an evaluation by the honest protocol."
        )
    cohort = cohort.with_patients(config.patient_pattern)
    if config.positive_class is not None:
        cohort = cohort.with_positive(config.positive_class)
    cohort.check()
    if given is not None:
        given.check(cohort)
    folder = None if out is None else RunFolder(Path(out))
    if folder is not None:
        refuse_among_bags(folder.path, cohort)
    settings = settings or Settings()
    environment = _Environment(
        folder=folder,
        resume=resume,
        workers=workers or settings.encoder_threads,
        settings=settings,
        on_event=on_event or ignore,
        cancel=cancel or CancellationToken(),
        given=given,
        keeps_models=keep_models,
    )
    with nullcontext() if folder is None else folder.locked():
        return _evaluate(Design(cohort, config, folds, repeats, protocol), environment)


@dataclass(frozen=True)
class _Environment:
    """Where folds are trained and kept, and where progress is told."""

    folder: RunFolder | None
    resume: bool
    workers: int
    settings: Settings
    on_event: OnEvent
    cancel: CancellationToken
    given: GivenFolds | None
    keeps_models: bool

    @property
    def models(self) -> Path | None:
        """Folder for the bundles of folds, or None where none is kept."""
        if self.folder is None or not self.keeps_models:
            return None
        return self.folder.path / FOLD_MODELS


def _evaluate(design: Design, environment: _Environment) -> Evaluation:
    on_event = environment.on_event
    settings = environment.settings
    start = None
    if design.config.start_from is not None:
        start = load_classifier(design.config.start_from, settings)
    config = fill_in_config(design.config, design.cohort, settings, start)
    # One thread per fold: figures do not depend on the number of cores.
    config = config.model_copy(update={"threads": 1})
    device = choose_device(config.device, on_event)
    with deterministic(config, device):
        store = BagStore(design.cohort, config, settings, on_event, environment.cancel, start)
        # The store leaves out bags that cannot be encoded.
        fold_of = _fold_of(design, store.cohort, environment.given)
        design = replace(
            design,
            cohort=store.cohort,
            config=config,
            folds=int(fold_of.max()) + 1,
            repeats=len(fold_of),
        )
        tasks = tasks_of(store.cohort, config, fold_of, design.protocol)
        torch.manual_seed(config.seed)
        plan = make_plan(config, store, start, on_event)
        runner = FoldRunner(
            FoldTraining(store, config, plan, start, device, environment.models),
            None if environment.folder is None else environment.folder.path / FOLDS,
            environment.resume,
            environment.workers,
        )
        on_event(Started(len(tasks), "folds"))
        progress = Progress(len(tasks))
        results = runner.run(
            tasks, environment.cancel, lambda done: on_event(progress.advance(done))
        )
    seen = None
    if start is not None:
        seen = bags_seen_before(start.card, [bag.content for bag in design.cohort.bags])
    remarks = (*runner.remarks, *_remarks(design, tasks, seen, environment.given))
    for remark in remarks:
        on_event(Fallback(remark))
    evaluation = summarise(design, tasks, results, remarks, seen)
    if environment.folder is not None:
        _write(evaluation, environment.folder, design, start, on_event)
        runner.remove_results()
    on_event(Finished(evaluation))
    return evaluation


def _fold_of(design: Design, cohort: Cohort, given: GivenFolds | None) -> np.ndarray:
    """Return the fold of each bag in each repeat, int (R, B): given, or drawn."""
    if given is not None:
        return given.fold_of(cohort)
    return draw_folds(cohort, design.config.seed, design.folds, design.repeats)


def _remarks(
    design: Design,
    tasks: list[FoldTask],
    start: SeenBefore | None,
    given: GivenFolds | None,
) -> list[str]:
    """Return sentences that a reader of the figures should know."""
    remarks = []
    if given is not None:
        remarks.append(f"The folds are those of {given.source.name}.")
    without_validation = [task.split for task in tasks if not task.split.validation]
    if design.protocol == "honest" and without_validation:
        why = why_none(without_validation[0], design.config)
        remarks.append(
            f"{len(without_validation)} of {len(tasks)} folds have no validation bags ({why}): "
            "nothing is chosen in them, the last epoch is kept."
        )
    if any(bag.split for bag in design.cohort.bags):
        remarks.append("The splits in the table are not used: every bag is tested once per repeat.")
    if start is not None:
        remarks.append(_remark_on_start(start))
    remarks += [few.text for few in find_few_patients(design.cohort)]
    return remarks


def _remark_on_start(start: SeenBefore) -> str:
    """Say what the classifier that every fold starts from has seen of the bags."""
    if start.seen:
        return start.remark
    if start.is_known:
        return (
            f"Every fold starts from {start.classifier}, which was trained on none of these bags."
        )
    return (
        f"Every fold starts from {start.classifier}: if that was trained on these bags, "
        "the figures are too good."
    )


def _write(
    evaluation: Evaluation,
    folder: RunFolder,
    design: Design,
    start: Classifier | None,
    on_event: OnEvent,
) -> None:
    """Write the tables, ``evaluation.json`` and the card of the folder's classifier."""
    answers = evaluation.answers
    assert answers is not None
    folder.write(PREDICTIONS, PredictionsTable.of(answers).text())
    folder.write(FOLDS_TABLE, folds_text(answers))
    if evaluation.validation is None:
        (folder.path / VALIDATION).unlink(missing_ok=True)
    else:
        folder.write(VALIDATION, evaluation.validation.text())
    text = json.dumps(evaluation.as_dict(), indent=1, ensure_ascii=False)
    folder.write(EVALUATION, text + "\n")
    if folder.finished and not write_figures_to_card(evaluation, folder, design, start):
        on_event(
            Fallback(
                "The classifier in this folder was trained otherwise, or on other bags: "
                "its card is left as it is."
            )
        )


def write_figures_to_card(
    evaluation: Evaluation, folder: RunFolder, design: Design, start: Classifier | None
) -> bool:
    """Write figures to the card of their classifier.

    Returns
    -------
    bool
        Whether the classifier in the run folder was trained in this way, on these bags, from this
        start; otherwise its card is left as it is.
    """
    card = read_card(folder.classifier)
    training = card.training
    compared = design.config.model_dump(exclude=MACHINE_FIELDS | MEMORY_FIELDS)
    settings = json.loads(json.dumps(compared))  # tuples become lists, as in the card
    same_settings = all(
        name in training.settings and training.settings[name] == value
        for name, value in settings.items()
    )
    card_start = None if training.started_from is None else training.started_from.fingerprint
    same_start = card_start == (None if start is None else start.fingerprint)
    same_cohort = training.cohort_fingerprint == design.cohort.fingerprint
    if not (same_settings and same_start and same_cohort):
        return False
    earlier = {
        name: entry
        for name, entry in card.evaluation.items()
        if name in (VALIDATION_ENTRY, TEST_SPLIT)
    }
    renewed = replace(card, evaluation={**evaluation.for_card(), **earlier})
    write_card(renewed, notes(renewed), folder.classifier)
    return True
