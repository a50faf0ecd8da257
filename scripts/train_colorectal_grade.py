"""Training and evaluation of the classifier `colorectal-grade`.

EBHI-Seg (Shi et al. 2023): benign, low grade, or carcinoma or high grade; a bag holds the images of
a case and is of its highest grade.

python -m scripts.train_colorectal_grade FOLDER

FOLDER holds labels.csv and a folder of images for each annotated class.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_mil.inference.card import ClassifierCard
from napari_mil.training.evaluation.metrics import (
    auc,
    calibration_error,
    fit_temperature,
    mean_auc,
    multiclass_figures,
)
from scripts.colorectal_cases import (
    BENIGN,
    CREDIT,
    LOW_GRADE,
    MALIGNANT,
    Cases,
    card_of_cases,
    read_cases,
)
from scripts.head_fitting import FitSettings
from scripts.nested_cross_validation import (
    Candidate,
    OutOfFold,
    choose_candidate,
    fit_head,
    nested_cross_validation,
)
from scripts.percentile_bootstrap import estimate
from scripts.shipped_classifiers import (
    COLOURS,
    OWN,
    blank_table,
    colour_baseline,
    difference,
    format_estimate,
    parse_arguments,
    say,
    verdicts,
    write_bundle,
)

CLASSES = ("benign", "low grade", "carcinoma or high grade")
AGGREGATOR = "dsmil-released"
OPTIONS = {"hidden": 64, "dropout": 0.5, "average_streams": True}
SETTINGS = {
    f"weight decay {decay:g}": FitSettings(epochs=30, weight_decay=decay, instance_dropout=0.0)
    for decay in (0.1, 1.0)
}
"""Settings to choose from."""
NEIGHBOURS = ((0, 1), (1, 2), (0, 2))
"""Pairs of classes that are told apart."""


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    cases = read_cases(arguments.data, grade, (*BENIGN, LOW_GRADE, *MALIGNANT))
    labels = cases.labels
    say(f"bags are ready: {np.bincount(labels).tolist()}")
    candidates = [
        Candidate(name, cases.bags, AGGREGATOR, OPTIONS, settings, len(CLASSES))
        for name, settings in SETTINGS.items()
    ]
    out = nested_cross_validation(
        candidates, labels, cases.names, repeats=arguments.repeats, workers=arguments.workers
    )
    temperature = round(fit_temperature(*stacked(labels, out), cautious=True), 3)
    evaluation = evaluate(cases, out, temperature)
    evaluation["protocol"] = (
        f"honest: {arguments.repeats} x 5 folds by case; weight decay chosen on 3 inner folds "
        "(from a short list drawn up with this data in view); the likeliest class; last epoch"
    )
    say(repr(evaluation))
    everything = np.arange(len(labels))
    final = choose_candidate(candidates, labels, cases.names, everything, 5, seed=0)
    head = fit_head(final, labels, everything, seed=0)
    card = make_card(cases, final, temperature, evaluation)
    folder = write_bundle(card, head, cases.bags, cases.names, notes)
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def grade(kinds: set[str]) -> int:
    """Return the class index of the highest grade among a case's images."""
    if kinds & set(MALIGNANT):
        return 2
    return int(LOW_GRADE in kinds)


def stacked(labels: np.ndarray, out: OutOfFold) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and logits of all repeats, one after another."""
    return np.tile(labels, len(out.logits)), out.logits.reshape(-1, out.logits.shape[-1])


def evaluate(cases: Cases, out: OutOfFold, temperature: float) -> dict[str, Any]:
    """Compute figures of all classes, of pairs of them, and of colours on the same folds."""
    labels = cases.labels
    groups = cases.names
    area = estimate(mean_auc, labels, out.logits, groups).as_dict()
    targets, logits = stacked(labels, out)
    return {
        "headline": f"AUC {area['mean']:.2f} ({area['low']:.2f}–{area['high']:.2f}), by case",
        OWN: {
            "auc": area,
            **{
                name: estimate(
                    lambda t, v, name=name: multiclass_figures(t, v)[name],
                    labels,
                    out.logits,
                    groups,
                    samples=500,
                ).as_dict()
                for name in ("accuracy", "balanced_accuracy")
            },
        },
        "pairs": {
            f"{CLASSES[high]} against {CLASSES[low]}": pair(cases, out, low, high)
            for low, high in NEIGHBOURS
        },
        "confusion": confusion(labels, out).tolist(),
        "calibration error": {
            "before": round(calibration_error(targets, logits), 4),
            "after": round(calibration_error(targets, logits / temperature), 4),
        },
    }


def pair(cases: Cases, out: OutOfFold, low: int, high: int) -> dict[str, Any]:
    """Compare two classes by the difference of their logits, beside colours on the same folds."""
    members = np.flatnonzero(np.isin(cases.labels, (low, high)))
    labels = (cases.labels[members] == high).astype(int)
    names = [cases.names[b] for b in members]
    logits = out.logits[:, members, high] - out.logits[:, members, low]
    colours = [cases.colours[b] for b in members]
    baseline = colour_baseline(colours, COLOURS, labels, names, out.folds[:, members])
    return {
        OWN: estimate(auc, labels, logits, names).as_dict(),
        COLOURS: estimate(auc, labels, baseline, names).as_dict(),
        "auc gain over": {COLOURS: difference(labels, logits, baseline, names)},
    }


def confusion(labels: np.ndarray, out: OutOfFold) -> np.ndarray:
    """Count cases by true and by predicted class, averaged over repeats, float (C, C)."""
    predicted = out.logits.argmax(2)
    counts = np.zeros((len(CLASSES), len(CLASSES)))
    for one in predicted:
        np.add.at(counts, (labels, one), 1)
    return np.asarray((counts / len(predicted)).round(1))


def make_card(
    cases: Cases, final: Candidate, temperature: float, evaluation: dict[str, Any]
) -> ClassifierCard:
    """Return the card of the classifier trained on all cases but the sample case."""
    return card_of_cases(
        cases,
        final,
        name="colorectal-grade",
        title="Colorectal biopsy images: benign, low grade, carcinoma or high grade, H&E",
        classes=CLASSES,
        link="softmax",
        temperature=temperature,
        evaluation=evaluation,
    )


def notes(card: ClassifierCard) -> str:
    """Return the description of the classifier in Markdown."""
    evaluation = card.evaluation
    training = card.training
    own = evaluation[OWN]
    counts = ", ".join(f"{name} {count}" for name, count in training.bags_of_each_class.items())
    images = ", ".join(f"{name} {count}" for name, count in training.notes["images"].items())
    pairs = [
        f"| {name} | {format_estimate(entry[OWN])} | {format_estimate(entry[COLOURS])} |"
        for name, entry in evaluation["pairs"].items()
    ]
    gains = [f"{name}:\n\n{verdicts(entry)}" for name, entry in evaluation["pairs"].items()]
    confused = [
        f"| {name} | " + " | ".join(f"{count:g}" for count in counted) + " |"
        for name, counted in zip(CLASSES, evaluation["confusion"], strict=True)
    ]
    error = evaluation["calibration error"]
    return f"""# colorectal-grade

Colorectal biopsies in H&E: benign, low-grade neoplasia, or carcinoma or high grade; dual-stream MIL
as released by Li et al. 2021, both streams averaged, over `efficientnet-lite0` features. A bag is a
folder with the images of a case; every image also gets scores of its own.

**{card.intended_use}**

- Images: {card.tile_px} px, as published (400×; their scale in µm per pixel is not stated).
  Larger ones are scaled to that size.
- Trained on {training.instances} images ({images}) of {training.bags} cases ({counts}). A case is
  of the highest grade among its images; benign are normal, polyp and serrated adenoma.
- Images that look like immunohistochemistry were left out.
- The sample case of this package is in no fold and not in the final training.

## How good

{evaluation["protocol"]}.
Mean over repeats (95 % interval, bootstrap over cases), ± standard deviation over repeats.

| all three classes | |
| --- | --- |
| AUC, mean over classes | {format_estimate(own["auc"])} |
| accuracy | {format_estimate(own["accuracy"])} |
| balanced accuracy | {format_estimate(own["balanced_accuracy"])} |

| pair of classes | AUC, this classifier | AUC, {COLOURS} |
| --- | --- | --- |
{chr(10).join(pairs)}

AUC gained, {(chr(10) * 2).join(gains)}

| cases (mean over repeats) | called {" | called ".join(CLASSES)} |
| --- | --- | --- | --- |
{chr(10).join(confused)}

Colour statistics: logistic regression on 21 RGB statistics per image (mean, standard deviation,
five quantiles), on their average, least and largest values over the images of a case, fitted on the
pair alone; regularisation chosen on inner folds.

Temperature {card.temperature:g}, fitted on the out-of-fold logits above; calibration error
{error["before"]:.3f} before, {error["after"]:.3f} after it.

{blank_table(card)}

## Terms

Weights: BSD-3-Clause, as the code; no research-only terms. {CREDIT}

Made by `scripts/train_colorectal_grade.py`.
"""


if __name__ == "__main__":
    main()
