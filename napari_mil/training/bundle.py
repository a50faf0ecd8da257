"""Classifier bundles made of fitted networks, with their cards and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from napari_mil.encoders.adapted import AdaptedEncoder
from napari_mil.encoders.backbone import weights_fingerprint
from napari_mil.inference.card import FEW_PATIENTS, INTERVAL_METHODS, ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.facts import (
    AggregatorRef,
    EncoderRef,
    SplitCounts,
    StartFacts,
    TrainingFacts,
)
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.config import MACHINE_FIELDS, TrainingConfig
from napari_mil.training.describing import describe_training
from napari_mil.training.evaluation.intervals import few_patients, sources
from napari_mil.training.evaluation.metrics import (
    Estimate,
    best_threshold,
    calibration_error,
    estimates,
    figures,
    fit_temperature,
)
from napari_mil.training.fitting import Fitting
from napari_mil.training.instances import Instances
from napari_mil.training.network import Plan, parts_of
from napari_mil.training.store import BagStore

FEWEST_TO_CALIBRATE = 10
"""Validation bags below which nothing is said about probabilities."""
LICENCE = "the user's own; the data decides"
INTENDED_USE = "Research use only; not for diagnosis."
VALIDATION = "validation, optimistic"
"""Entry of a card's evaluation: figures on the validation bags."""
TEST_SPLIT = "test split"
"""Entry of a card's evaluation: figures on the test split."""
SMALL = 50
"""Bags below which the notes call the cohort small."""
CHOSEN_BY = {
    "loss": "least validation loss",
    "auc": "largest validation AUC",
    "last": "nothing: the last epoch",
}
"""How the epoch was chosen, in words."""


def make_classifier(
    name: str,
    config: TrainingConfig,
    plan: Plan,
    fitting: Fitting,
    epoch: int,
    start: Classifier | None,
    backbone: Any,
    cautions: Sequence[str] = (),
) -> Classifier:
    """Make a bundle of a fitted network.

    Parameters
    ----------
    name
        Name of the classifier.
    config
        How it was trained.
    plan
        What was built.
    fitting
        Network, with the weights of the kept epoch, and its bags.
    epoch
        Number of the kept epoch, counted from 1.
    start
        Classifier that training started from.
    backbone
        Network that made the features without being trained, or None.
    cautions
        Sentences that its card keeps.
    """
    cohort = fitting.store.cohort
    instances = fitting.store.instances
    aggregator, trained_backbone = parts_of(fitting.network)
    network = backbone if trained_backbone is None else trained_backbone.network
    chosen = calibrate(config, fitting)
    card = ClassifierCard(
        name=name,
        title=_title(cohort),
        classes=cohort.classes,
        link=_link(cohort, plan),
        encoder=_encoder_ref(instances, network, plan),
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
        is_fluorescence=fitting.store.is_fluorescence,
        training=replace(
            _training_facts(config, plan, fitting, epoch, start), cautions=tuple(cautions)
        ),
        evaluation=_on_validation(fitting, chosen),
    )
    if trained_backbone is None:
        mean = torch.from_numpy(fitting.mean)
        scale = torch.from_numpy(fitting.scale)
    else:
        mean = trained_backbone.mean.cpu()
        scale = trained_backbone.scale.cpu()
    classifier = Classifier(
        card,
        aggregator.cpu().eval(),
        mean,
        scale,
        None if network is None else network.cpu().eval(),
        adapted=_adapted_trunk(fitting.store, start),
    )
    known = (*fitting.split.training, *fitting.split.validation)
    likeness = describe_training(classifier, fitting.store, known, config.seed)
    return replace(classifier, likeness=likeness)


def _adapted_trunk(store: BagStore, start: Classifier | None) -> EfficientNetLite0Trunk | None:
    """Return the network of an adapted encoder, which travels with the bundle, or None."""
    if not store.instances.adapted_from:
        return None
    if start is not None:
        return start.adapted
    assert isinstance(store.encoder, AdaptedEncoder)
    return store.encoder.trunk


def _encoder_ref(
    instances: Instances, network: torch.nn.Module | None, plan: Plan
) -> EncoderRef | None:
    """Return the encoder of a bundle.

    Its own network, a frozen encoder by name, or None for features from elsewhere.
    """
    if network is not None:
        fingerprint = weights_fingerprint(network)
        return EncoderRef(str(instances.encoder), fingerprint, trained=True, maps=plan.maps)
    if instances.encoder is not None:
        return EncoderRef(
            instances.encoder, instances.fingerprint, adapted_from=instances.adapted_from
        )
    return None


def _link(cohort: Cohort, plan: Plan) -> str:
    if cohort.multi_label:
        return "multi-label"
    return "sigmoid" if plan.n_outputs == 1 else "softmax"


def calibrate(config: TrainingConfig, fitting: Fitting) -> dict[str, float]:
    """Choose temperature and threshold on the validation bags.

    They are 1 and 0.5 where there are too few.
    """
    bags = fitting.split.validation
    if len(bags) < FEWEST_TO_CALIBRATE:
        return {"temperature": 1.0, "threshold": 0.5}
    targets = fitting.store.cohort.targets[list(bags)]
    logits = fitting.logits(bags)
    temperature = round(fit_temperature(targets, logits, cautious=True), 3)
    threshold = 0.5
    if config.threshold != "half" and logits.shape[1] == 1 and targets.ndim == 1:
        threshold = best_threshold(targets, logits[:, 0] / temperature)
    return {"temperature": temperature, "threshold": threshold}


def _on_validation(fitting: Fitting, chosen: Mapping[str, float]) -> dict[str, Any]:
    """Return figures on the validation bags and on the test split.

    Only those that there are; a protocol and a headline say what they come from.
    """
    entries: dict[str, Any] = {}
    cohort = fitting.store.cohort
    if fitting.split.test:
        entries |= _on_test_split(fitting, chosen)
    if fitting.split.validation:
        entries[VALIDATION] = _figures(fitting, fitting.split.validation, chosen)
        if "protocol" not in entries:
            entries["protocol"] = (
                f"validation: {len(fitting.split.validation)} bags, "
                f"which {_choice_words(fitting, chosen)}; optimistic. "
                "`evaluate` gives honest figures"
            )
            entries["headline"] = _headline(
                entries[VALIDATION], f"{len(fitting.split.validation)} validation bags, optimistic"
            )
    else:
        entries.setdefault("protocol", f"none: all {len(cohort.bags)} bags were trained on")
        entries.setdefault("headline", "not evaluated")
    return entries


def _on_test_split(fitting: Fitting, chosen: Mapping[str, float]) -> dict[str, Any]:
    """Return the entries about the test split: figures with intervals, and what they leave open."""
    bags = list(fitting.split.test)
    cohort = fitting.store.cohort
    targets = cohort.targets[bags]
    groups = [cohort.groups[b] for b in bags]
    logits = fitting.logits(fitting.split.test) / chosen["temperature"]
    found = estimates(targets, logits[None], groups, threshold=chosen["threshold"])
    unit = "patient" if cohort.patients_known else "bag"
    few = few_patients(cohort.classes, targets, groups, unit=unit)
    return {
        TEST_SPLIT: {
            **{name: figure.as_dict() for name, figure in found.items()},
            **_further_figures(fitting, fitting.split.test, logits),
        },
        "protocol": f"held-out test split of {len(bags)} bags, looked at once",
        "headline": _test_headline(found, f"{len(bags)} held-out bags"),
        INTERVAL_METHODS: sources(figure.method for figure in found.values()),
        FEW_PATIENTS: [one.text for one in few],
    }


def _test_headline(found: Mapping[str, Estimate], where: str) -> str:
    for names, words in (
        (("auc", "auc_macro"), "AUC"),
        (("accuracy", "accuracy_macro"), "accuracy"),
    ):
        for name in names:
            if name in found and not np.isnan(found[name].mean):
                return f"{words} {found[name].words} on {where}"
    return f"no figure on {where}"


def _choice_words(fitting: Fitting, chosen: Mapping[str, float]) -> str:
    """Return in words what the validation bags chose."""
    is_calibrated = chosen["temperature"] != 1
    if fitting.selection == "last":
        return "chose nothing but the temperature" if is_calibrated else "chose nothing"
    return "chose the epoch and the temperature" if is_calibrated else "chose the epoch"


def _figures(
    fitting: Fitting, bags: tuple[int, ...], chosen: Mapping[str, float]
) -> dict[str, Any]:
    """Return every figure on some bags, rounded to four digits."""
    targets = fitting.store.cohort.targets[list(bags)]
    logits = fitting.logits(bags) / chosen["temperature"]
    rounded: dict[str, Any] = {
        name: None if np.isnan(value) else round(value, 4)
        for name, value in figures(targets, logits, chosen["threshold"]).items()
    }
    return {**rounded, **_further_figures(fitting, bags, logits)}


def _further_figures(
    fitting: Fitting, bags: tuple[int, ...], logits: np.ndarray
) -> dict[str, float]:
    """Return calibration error and AUC of the overlay, rounded to four digits."""
    targets = fitting.store.cohort.targets[list(bags)]
    further = {"expected_calibration_error": round(calibration_error(targets, logits), 4)}
    tile_auc = fitting.overlay_auc(bags)
    if tile_auc is not None:
        further["tile_auc"] = round(tile_auc, 4)
    return further


def _headline(entry: Mapping[str, Any], where: str) -> str:
    area = entry.get("auc" if "auc" in entry else "auc_macro")
    if area is not None:
        return f"AUC {area:.2f} on {where}"
    accuracy = entry.get("accuracy", entry.get("accuracy_macro"))
    return f"accuracy {accuracy:.2f} on {where}"


def _title(cohort: Cohort) -> str:
    names = [name.replace("_", " ") for name in cohort.classes]
    if len(names) == 2:
        return " or ".join(names)
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _training_facts(
    config: TrainingConfig, plan: Plan, fitting: Fitting, epoch: int, start: Classifier | None
) -> TrainingFacts:
    """Return counts and settings, without names, paths and patients."""
    cohort = fitting.store.cohort
    split = fitting.split
    settings = {
        name: value for name, value in config.model_dump().items() if name not in MACHINE_FIELDS
    }
    if config.encoder is not None:
        # An adapted encoder may have been given by its folder.
        settings["encoder"] = fitting.store.instances.encoder
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
        bag_fingerprints=tuple(
            sorted({cohort.bags[b].content for b in (*split.training, *split.validation)})
        ),
        epoch_kept=epoch,
        epochs_trained=len(fitting.history),
        chosen_by=CHOSEN_BY[fitting.selection],
        recipe=config.chosen_recipe.source,
        embedding=plan.embedding,
        started_from=started_from,
        settings=settings,
        torch=torch.__version__,
    )


def notes(card: ClassifierCard) -> str:
    """Return the text of ``card.md``: the card's facts for readers."""
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
    few = card.evaluation.get(FEW_PATIENTS)
    if few:
        lines += [*(f"- {sentence}" for sentence in few), ""]
    for key, entry in card.evaluation.items():
        if isinstance(entry, Mapping) and key != INTERVAL_METHODS:
            lines += [f"### {key[:1].upper()}{key[1:]}", "", *_table(entry), ""]
    methods = card.evaluation.get(INTERVAL_METHODS)
    if methods:
        lines += ["95 % intervals:", ""]
        lines += [*(f"- {name}: {source}" for name, source in methods.items()), ""]
    return "\n".join([*lines, "## Terms", "", f"Weights: {card.licence}.", ""])


def _method_words(card: ClassifierCard) -> str:
    strategy = card.training.settings["strategy"]
    mining = f", with {strategy.upper()} masked mining" if strategy != "plain" else ""
    if mining and card.training.settings.get("teacher") == "trained":
        mining += " by a trained teacher"
    return f"{card.aggregator.name}{mining} over {_encoder_words(card)}"


def _training_lines(card: ClassifierCard) -> list[str]:
    training = card.training
    settings = training.settings
    assert training.split is not None
    takes = f"- Takes {card.takes}."
    if card.mpp_assumed:
        takes += " **The scale is assumed**: the training slides did not say it."
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
    return [*lines, *(f"- {caution}" for caution in training.cautions)]


def _table(entry: Mapping[str, Any]) -> list[str]:
    estimated = [value for value in entry.values() if isinstance(value, Mapping)]
    if estimated:
        has_folds = any(value["fold_mean"] is not None for value in estimated)
        return _estimate_table(entry, has_folds=has_folds)
    return [
        "| figure | value |",
        "| --- | --- |",
        *(f"| {name.replace('_', ' ')} | {_number(value)} |" for name, value in entry.items()),
    ]


def _estimate_table(entry: Mapping[str, Any], *, has_folds: bool) -> list[str]:
    """Return figures with intervals, those without below them."""
    columns = ["figure", "pooled" if has_folds else "value", "95 % interval", "by"]
    if has_folds:
        columns += ["mean of folds ± SD", "SD over repeats"]
    rows = [columns, ["---"] * len(columns)]
    for name, value in entry.items():
        if isinstance(value, Mapping):
            row = _estimate_row(value, has_folds=has_folds)
        else:
            row = [_number(value), *[_number(None)] * (len(columns) - 2)]
        rows.append([name.replace("_", " "), *row])
    return [f"| {' | '.join(row)} |" for row in rows]


def _estimate_row(estimate: Mapping[str, Any], *, has_folds: bool) -> list[str]:
    number = {key: _number(value) for key, value in estimate.items()}
    row = [number["mean"], f"{number['low']} to {number['high']}", number["method"]]
    if has_folds:
        row += [f"{number['fold_mean']} ± {number['sd_folds']}", number["sd_repeats"]]
    return row


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _encoder_words(card: ClassifierCard) -> str:
    if card.encoder is None:
        return f"features of length {card.in_dim} from elsewhere"
    how = ", trained with it" if card.encoder.trained else " features"
    if card.encoder.adapted_from:
        how = f" ({card.encoder.adapted_from} adapted beforehand) features"
    return f"`{card.encoder.name}`{how}"
