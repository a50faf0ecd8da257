"""From a fitted network to the classifier bundle that Classify, the command line and other people open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from napari_mil.encoders.backbone import weights_fingerprint
from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.facts import (
    AggregatorRef,
    EncoderRef,
    SplitCounts,
    StartFacts,
    TrainingFacts,
)
from napari_mil.training.cohort import Cohort
from napari_mil.training.config import MACHINE_FIELDS, TrainingConfig
from napari_mil.training.fitting import Fitting
from napari_mil.training.metrics import best_threshold, calibration_error, figures, fit_temperature
from napari_mil.training.network import Plan, parts_of
from napari_mil.training.recipes import recipe_of

FEWEST_TO_CALIBRATE = 10
"""Fewer validation bags say nothing about probabilities."""
LICENCE = "the user's own; the data decides"
INTENDED_USE = "Research use only; not for diagnosis."
VALIDATION, TEST_SPLIT = "validation, optimistic", "test split"
"""Entries of a card's evaluation."""
SMALL = 50
"""Fewer bags than this, and the card says so."""


def make_classifier(
    name: str,
    config: TrainingConfig,
    plan: Plan,
    fitting: Fitting,
    epoch: int,
    start: Classifier | None,
    backbone: Any,
) -> Classifier:
    """Make a bundle of the network as it is now."""
    store, cohort = fitting.store, fitting.store.cohort
    aggregator, own_backbone = parts_of(fitting.network)
    network = own_backbone.network if own_backbone is not None else backbone
    instances = store.instances
    encoder: EncoderRef | None = None
    if network is not None:
        encoder = EncoderRef(
            str(instances.encoder), weights_fingerprint(network), trained=True, maps=plan.maps
        )
    elif instances.encoder is not None:
        encoder = EncoderRef(instances.encoder, instances.fingerprint)
    chosen = calibrate(config, fitting)
    card = ClassifierCard(
        name=name,
        title=_title(cohort),
        classes=cohort.classes,
        link=_link(cohort, plan),
        encoder=encoder,
        in_dim=aggregator.in_dim,
        tile_px=instances.tile_px,
        mpp=instances.mpp,
        mpp_assumed=instances.mpp_assumed,
        overlap=instances.overlap,
        aggregator=AggregatorRef(config.aggregator, dict(plan.aggregator_options)),
        temperature=chosen["temperature"],
        threshold=chosen["threshold"],
        licence=LICENCE if start is None else start.card.licence,
        intended_use=INTENDED_USE,
        instances=instances.kind,
        slide_mpp=config.slide_mpp,
        training=_training_facts(config, plan, fitting, epoch, start),
        evaluation=_on_validation(fitting, chosen),
    )
    mean, scale = torch.from_numpy(fitting.mean), torch.from_numpy(fitting.scale)
    if own_backbone is not None:
        mean, scale = own_backbone.mean.cpu(), own_backbone.scale.cpu()
    return Classifier(
        card,
        aggregator.cpu().eval(),
        mean,
        scale,
        None if network is None else network.cpu().eval(),
    )


def _link(cohort: Cohort, plan: Plan) -> str:
    if cohort.multi_label:
        return "multi-label"
    return "sigmoid" if plan.n_outputs == 1 else "softmax"


def calibrate(config: TrainingConfig, fitting: Fitting) -> dict[str, float]:
    """Choose temperature and threshold on the validation bags; 1 and 0.5 where there are too few."""
    bags = fitting.split.validation
    if len(bags) < FEWEST_TO_CALIBRATE:
        return {"temperature": 1.0, "threshold": 0.5}
    targets, logits = fitting.store.cohort.targets[list(bags)], fitting.logits(bags)
    temperature = round(fit_temperature(targets, logits, cautious=True), 3)
    threshold = (
        best_threshold(targets, logits[:, 0] / temperature)
        if config.threshold == "validation" and logits.shape[1] == 1
        else 0.5
    )
    return {"temperature": temperature, "threshold": threshold}


def _on_validation(fitting: Fitting, chosen: Mapping[str, float]) -> dict[str, Any]:
    """Return figures on the bags that chose the epoch, and on a test split where the table names one."""
    entries: dict[str, Any] = {}
    cohort = fitting.store.cohort
    if fitting.split.test:
        entries[TEST_SPLIT] = _figures(fitting, fitting.split.test, chosen)
        entries["protocol"] = (
            f"held-out test split of {len(fitting.split.test)} bags, looked at once"
        )
        entries["headline"] = _headline(
            entries[TEST_SPLIT], f"{len(fitting.split.test)} held-out bags"
        )
    if fitting.split.validation:
        entries[VALIDATION] = _figures(fitting, fitting.split.validation, chosen)
        if "protocol" not in entries:
            choice = (
                "chose the epoch" + (" and the temperature" if chosen["temperature"] != 1 else "")
                if fitting.selects != "last"
                else "chose nothing"
                + (" but the temperature" if chosen["temperature"] != 1 else "")
            )
            entries["protocol"] = (
                f"validation: {len(fitting.split.validation)} bags, which {choice}; optimistic. `evaluate` gives honest figures"
            )
            entries["headline"] = _headline(
                entries[VALIDATION], f"{len(fitting.split.validation)} validation bags, optimistic"
            )
    else:
        entries.setdefault("protocol", f"none: all {len(cohort.bags)} bags were trained on")
        entries.setdefault("headline", "not evaluated")
    return entries


def _figures(
    fitting: Fitting, bags: tuple[int, ...], chosen: Mapping[str, float]
) -> dict[str, Any]:
    targets, logits = (
        fitting.store.cohort.targets[list(bags)],
        fitting.logits(bags) / chosen["temperature"],
    )
    found: dict[str, Any] = {
        name: None if np.isnan(value) else round(value, 4)
        for name, value in figures(targets, logits, chosen["threshold"]).items()
    }
    found["expected_calibration_error"] = round(calibration_error(targets, logits), 4)
    if (tiles := fitting.overlay_auc(bags)) is not None:
        found["tile_auc"] = round(tiles, 4)
    return found


def _headline(entry: Mapping[str, Any], where: str) -> str:
    name = "auc" if "auc" in entry else "auc_macro"
    value = entry.get(name)
    return (
        f"AUC {value:.2f} on {where}"
        if value is not None
        else f"accuracy {entry.get('accuracy', entry.get('accuracy_macro')):.2f} on {where}"
    )


def _title(cohort: Cohort) -> str:
    names = [name.replace("_", " ") for name in cohort.classes]
    return (
        " or ".join(names)
        if len(names) == 2
        else ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    )


CHOSEN_BY = {
    "loss": "least validation loss",
    "auc": "largest validation AUC",
    "last": "nothing: the last epoch",
}


def _training_facts(
    config: TrainingConfig, plan: Plan, fitting: Fitting, epoch: int, start: Classifier | None
) -> TrainingFacts:
    """Return counts and settings: no name, no path, no patient."""
    cohort = fitting.store.cohort
    split = fitting.split
    settings = {
        name: value for name, value in config.model_dump().items() if name not in MACHINE_FIELDS
    }
    started_from = None
    if start is not None:
        name = start.card.name if start.card.shipped else "another classifier"
        started_from = StartFacts(name, start.fingerprint)
    return TrainingFacts(
        bags=len(cohort.bags),
        bags_of_each_class=cohort.counts,
        patients=cohort.n_patients,
        patients_known=cohort.patients_known,
        instances=int(sum(fitting.store.sizes)),
        split=SplitCounts(len(split.training), len(split.validation), len(split.test)),
        left_out=len(fitting.store.left_out),
        cohort_fingerprint=cohort.fingerprint,
        bag_fingerprints=tuple(sorted({bag.content for bag in cohort.bags})),
        epoch_kept=epoch,
        epochs_trained=fitting.epoch,
        chosen_by=CHOSEN_BY[fitting.selects],
        recipe=recipe_of(config.aggregator, config.strategy).source,
        embedding=plan.embedding,
        started_from=started_from,
        settings=settings,
        torch=torch.__version__,
    )


def notes(card: ClassifierCard) -> str:
    """Return ``card.md``: the same facts for people."""
    lines = [
        f"# {card.name}",
        "",
        f"{card.title}, by {_method_words(card)}.",
        "",
        f"**{card.intended_use}**",
        "",
        *_training_lines(card),
        "",
        "## How good",
        "",
        f"Protocol: {card.evaluation['protocol']}.",
        "",
    ]
    for key, entry in card.evaluation.items():
        if isinstance(entry, Mapping):
            lines += [f"### {key[:1].upper()}{key[1:]}", "", *_table(entry), ""]
    return "\n".join([*lines, "## Terms", "", f"Weights: {card.licence}.", ""])


def _method_words(card: ClassifierCard) -> str:
    strategy = card.training.settings["strategy"]
    mining = f", with {strategy.upper()} masked mining" if strategy != "plain" else ""
    return f"{card.aggregator.name}{mining} over {_encoder_words(card)}"


def _training_lines(card: ClassifierCard) -> list[str]:
    training = card.training
    settings = training.settings
    assert training.split is not None
    takes = f"- Takes {card.takes}."
    if card.mpp_assumed:
        takes += " **The scale is assumed**: the training slides did not say theirs."
    counts = ", ".join(f"{count} {name}" for name, count in training.bags_of_each_class.items())
    patients = f"{training.patients} patients"
    if not training.patients_known:
        patients = "patients unknown"
    calibration = "" if card.calibrated else " (not calibrated: too few validation bags)"
    lines = [
        takes,
        f"- Trained on {training.split.training} of {training.bags} bags ({counts}); {patients}, "
        f"{training.instances} instances.",
        f"- Epoch {training.epoch_kept} of {training.epochs_trained}; "
        f"chosen by {training.chosen_by}.",
        f"- Recipe: {training.recipe}.",
        f"- Learning rate {settings['learning_rate']:g}, "
        f"weight decay {settings['weight_decay']:g}, seed {settings['seed']}.",
        f"- Temperature {card.temperature:g}{calibration}, threshold {card.threshold:g}.",
    ]
    if card.slide_mpp is not None:
        lines.append(
            f"- Slides that do not say their scale are taken as {card.slide_mpp:g} µm per pixel."
        )
    if training.started_from is not None:
        lines.append(f"- Went on from {training.started_from.name}; its terms hold too.")
    if (training.bags or 0) < SMALL:
        lines.append(
            f"- Few bags ({training.bags}): small differences between figures mean nothing."
        )
    return lines


def _table(entry: Mapping[str, Any]) -> list[str]:
    if any(isinstance(value, Mapping) for value in entry.values()):
        head = [
            "| figure | pooled | 95 % interval | mean of folds ± SD | SD over repeats |",
            "| --- | --- | --- | --- | --- |",
        ]
        return head + [
            f"| {name.replace('_', ' ')} | {_number(v['mean'])} | {_number(v['low'])} to {_number(v['high'])} | "
            f"{_number(v['fold_mean'])} ± {_number(v['sd_folds'])} | {_number(v['sd_repeats'])} |"
            for name, v in entry.items()
            if isinstance(v, Mapping)
        ]
    return [
        "| figure | value |",
        "| --- | --- |",
        *(f"| {name.replace('_', ' ')} | {_number(value)} |" for name, value in entry.items()),
    ]


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _encoder_words(card: ClassifierCard) -> str:
    if card.encoder is None:
        return f"features of length {card.in_dim} from elsewhere"
    how = ", trained with it" if card.encoder.trained else " features"
    return f"`{card.encoder.name}`{how}"
