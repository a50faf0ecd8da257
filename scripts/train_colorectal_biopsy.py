"""Training and evaluation of the classifier `colorectal-biopsy`.

EBHI-Seg (Shi et al. 2023): carcinoma or high grade against benign. A bag holds a case's images.

python -m scripts.train_colorectal_biopsy FOLDER

FOLDER holds labels.csv and a folder of images for each annotated class.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from napari_mil.inference.card import ClassifierCard
from napari_mil.training.evaluation.metrics import auc, calibration_error, fit_temperature
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
    blank_table,
    compare,
    figures,
    headline,
    parse_arguments,
    row,
    say,
    table,
    verdicts,
    write_bundle,
)

CLASSES = ("benign", "carcinoma or high grade")
AGGREGATOR = "dsmil-released"
OPTIONS = {"hidden": 64, "dropout": 0.5, "average_streams": True}
SETTINGS = {
    f"weight decay {decay:g}": FitSettings(epochs=30, weight_decay=decay, instance_dropout=0.0)
    for decay in (0.1, 1.0)
}
"""Settings to choose from."""
MEAN_POOLING = "mean of the images, linear"


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    cases = read_cases(arguments.data, malignant_label, MALIGNANT + BENIGN)
    labels = cases.labels
    say(f"bags are ready: {labels.sum()} of {len(labels)} positive")

    candidates = candidates_of(cases)
    cross_validate = partial(
        nested_cross_validation,
        labels=labels,
        groups=cases.names,
        repeats=arguments.repeats,
        workers=arguments.workers,
    )
    out = cross_validate(candidates)
    by_case = compare(out, cases.colours, labels, cases.names)
    pooled = cross_validate([mean_pooling(cases)])
    by_case = {MEAN_POOLING: figures(labels, pooled.logits, cases.names), **by_case}
    temperature = round(fit_temperature(labels, out.logits, cautious=True), 3)
    evaluation = {
        "headline": headline(by_case, "by case"),
        "protocol": f"honest: {arguments.repeats} x 5 folds by case; weight decay chosen on "
        "3 inner folds (from a short list drawn up with this data in view); threshold 0.5; "
        "last epoch",
        "by case": by_case,
        "calibration error": calibration(labels, out, temperature),
        "other batch": {
            f"trained on {other}, tested on {batch}": held_out_batch(cases, candidates, batch)
            for batch, other in (("GT", "GTXC"), ("GTXC", "GT"))
        },
    }
    say(repr(evaluation))
    everything = np.arange(len(labels))
    final = choose_candidate(candidates, labels, cases.names, everything, 5, seed=0)
    head = fit_head(final, labels, everything, seed=0)
    card = make_card(cases, final, temperature, evaluation)
    folder = write_bundle(card, head, cases.bags, cases.names, notes)
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def malignant_label(kinds: set[str]) -> int:
    """Return 1 where any image of a case shows carcinoma or high grade."""
    return int(bool(kinds & set(MALIGNANT)))


def candidates_of(cases: Cases) -> list[Candidate]:
    """Return a candidate for every setting."""
    return [
        Candidate(name, cases.bags, AGGREGATOR, OPTIONS, settings)
        for name, settings in SETTINGS.items()
    ]


def mean_pooling(cases: Cases) -> Candidate:
    """Return the plainest competitor on the same features."""
    settings = FitSettings(epochs=30, weight_decay=1.0, instance_dropout=0.0)
    return Candidate(MEAN_POOLING, cases.bags, "embedding-mean", {"hidden": None}, settings)


def calibration(labels: np.ndarray, out: OutOfFold, temperature: float) -> dict[str, float]:
    """Return the calibration error out of fold, before and after the temperature."""
    return {
        name: round(
            float(np.mean([calibration_error(labels, row[:, None] / t) for row in out.logits])), 4
        )
        for name, t in (("before", 1.0), ("after", temperature))
    }


def held_out_batch(cases: Cases, candidates: list[Candidate], batch: str) -> dict[str, Any]:
    """Train on the cases of one batch of cameras and test on the other."""
    is_test = cases.batches == batch
    training = np.flatnonzero(~is_test)
    test = np.flatnonzero(is_test)
    chosen = choose_candidate(candidates, cases.labels, cases.names, training, 5, seed=0)
    head = fit_head(chosen, cases.labels, training, seed=0)
    logits = np.array([[head.logit(cases.bags[b]) for b in test]])
    names = [cases.names[b] for b in test]
    return {
        "cases": len(test),
        "auc": estimate(auc, cases.labels[test], logits, names).as_dict(),
        "accuracy": figures(cases.labels[test], logits, names)["accuracy"],
    }


def make_card(
    cases: Cases, final: Candidate, temperature: float, evaluation: dict[str, Any]
) -> ClassifierCard:
    """Return the card of the classifier trained on all cases but the sample case."""
    return card_of_cases(
        cases,
        final,
        name="colorectal-biopsy",
        title="Colorectal biopsy images with or without carcinoma or high grade, H&E",
        classes=CLASSES,
        link="sigmoid",
        temperature=temperature,
        evaluation=evaluation,
    )


def notes(card: ClassifierCard) -> str:
    """Return the description of the classifier in Markdown."""
    evaluation = card.evaluation
    training = card.training
    by_case = evaluation["by case"]
    images = ", ".join(f"{name} {count}" for name, count in training.notes["images"].items())
    chosen = ", ".join(f"{name} ({count}×)" for name, count in by_case["chosen"].items())
    batches = [row(name, entry) for name, entry in evaluation["other batch"].items()]
    error = evaluation["calibration error"]
    return f"""# colorectal-biopsy

Colorectal biopsies in H&E: carcinoma or high-grade neoplasia, or none of both; dual-stream MIL
as released by Li et al. 2021, both streams averaged, over `efficientnet-lite0` features. A bag is a
folder with the images of a case; every image also gets a score of its own.

**{card.intended_use}**

- Images: {card.tile_px} px, as published (400×; their scale in µm per pixel is not stated).
  Larger ones are scaled to that size.
- Trained on {training.instances} images of {training.bags} cases
  ({training.bags_of_each_class[CLASSES[1]]} with carcinoma or high grade): {images}. A case is
  positive where any of its images is.
- Images of low-grade neoplasia (`{LOW_GRADE}`) are in neither class and were left out: what it
  says of low grade means nothing (see `colorectal-grade`).
- Images that look like immunohistochemistry were left out.
- The sample case of this package is in no fold and not in the final training.

## How good

{evaluation["protocol"]}.
Mean over repeats (95 % interval, bootstrap over cases), ± standard deviation over repeats.

| cases: method | AUC | accuracy at 0.5 |
| --- | --- | --- |
{chr(10).join(table(by_case))}

AUC gained:

{verdicts(by_case)}

Colour statistics: logistic regression on 21 RGB statistics per image (mean, standard deviation,
five quantiles), averaged over the images of a case, or with the least and the largest value beside
the average; regularisation chosen on inner folds.
Chosen by the inner folds: {chosen}.

| other batch of cameras | AUC | accuracy at 0.5 |
| --- | --- | --- |
{chr(10).join(batches)}

Temperature {card.temperature:g}, fitted on the out-of-fold logits above; calibration error
{error["before"]:.3f} before, {error["after"]:.3f} after it.

{blank_table(card)}

## Terms

Weights: BSD-3-Clause, as the code; no research-only terms. {CREDIT}

Made by `scripts/train_colorectal_biopsy.py`.
"""


if __name__ == "__main__":
    main()
