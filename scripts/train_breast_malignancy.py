"""Training and evaluation of the classifier `breast-malignancy`.

UCSB breast images (Gelasca et al. 2008), benign against malignant.

python -m scripts.train_breast_malignancy FOLDER

FOLDER holds images.csv, benign/ and malignant/.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.facts import AggregatorRef, EncoderRef, TrainingFacts
from napari_mil.training.evaluation.metrics import fit_temperature
from scripts.head_fitting import FitSettings
from scripts.nested_cross_validation import (
    Candidate,
    OutOfFold,
    choose_candidate,
    fit_head,
    nested_cross_validation,
)
from scripts.shipped_classifiers import (
    Tiling,
    blank_table,
    compare,
    figures,
    headline,
    parse_arguments,
    picture_bag,
    say,
    shipped_encoder,
    table,
    verdicts,
    write_bundle,
)

IMAGE_MPP = 0.25
"""Assumed µm per pixel of the images.

The originals store no scale; nuclei are 30-40 px wide, as at 40x.
"""
ONE_CLASS_ACQUISITION = "ytma55_030603"
"""Acquisition of six benign images and no malignant one.

A classifier may learn the acquisition instead of the disease.
"""
TILINGS = (Tiling(32, 0.5), Tiling(64, 0.5), Tiling(128, 0.5))
"""Tilings to choose from; the encoder takes 32 px and more."""
COLOUR_TILING = Tiling(64, 0.5)
"""Tiling of the colour baselines, on which they are strongest."""
MEAN_POOLING = "mean of the tiles, linear"
"""Plainest competitor on the same features and folds."""
OPTIONS = {"hidden": 128, "attention_dim": 32, "dropout": 0.5}
SETTINGS = FitSettings(epochs=30, learning_rate=1e-3, weight_decay=0.1, instance_dropout=0.0)
LICENCE = (
    "weights: research use only (data of the UCSB Bio-Segmentation Benchmark, Gelasca et al. 2008)"
)


@dataclass(frozen=True)
class Cohort:
    """Labelled images with their bags for every tiling."""

    labels: np.ndarray
    """1 for malignant, 0 for benign, int (B,)."""
    acquisitions: list[str]
    """Acquisition of each image."""
    candidates: list[Candidate]
    """One candidate per tiling."""
    colours: list[np.ndarray]
    """Colour statistics of each image's tiles."""
    fingerprints: list[str]
    """Identifiers of the images' contents."""


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    cohort = read_cohort(arguments.data)
    say("bags are ready")

    everything = np.arange(len(cohort.labels))
    with_both_classes = np.flatnonzero(np.array(cohort.acquisitions) != ONE_CLASS_ACQUISITION)
    image_names = [str(b) for b in everything]
    evaluate_on = partial(evaluate, cohort, repeats=arguments.repeats, workers=arguments.workers)
    out_of_fold, by_acquisition = evaluate_on(everything, cohort.acquisitions)
    _, without_one = evaluate_on(
        with_both_classes, [cohort.acquisitions[b] for b in with_both_classes]
    )
    _, by_image = evaluate_on(everything, image_names)

    final = choose_candidate(
        cohort.candidates, cohort.labels, cohort.acquisitions, everything, 5, seed=0
    )
    temperature = round(fit_temperature(cohort.labels, out_of_fold.logits), 3)
    head = fit_head(final, cohort.labels, everything, seed=0)
    evaluation = {
        "headline": headline(by_acquisition, "by acquisition"),
        "protocol": f"honest: {arguments.repeats} x 5 folds by acquisition; "
        "tiling chosen on 3 inner folds (from a short list drawn up with this data in view); "
        "threshold 0.5; last epoch",
        "by acquisition": by_acquisition,
        "by acquisition, without the one-class acquisition": without_one,
        "by image (optimistic)": by_image,
    }
    card = make_card(cohort, final, temperature, evaluation)
    folder = write_bundle(card, head, final.bags, cohort.acquisitions, notes)
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def read_cohort(folder: Path) -> Cohort:
    """Read the table of images and make their bags for every tiling."""
    with (folder / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    bags = {
        tiling: [picture_bag(folder / entry["file"], IMAGE_MPP, tiling) for entry in rows]
        for tiling in TILINGS
    }
    candidates = [
        Candidate(
            str(tiling), [bag.features for bag in bags[tiling]], "gated-abmil", OPTIONS, SETTINGS
        )
        for tiling in TILINGS
    ]
    return Cohort(
        labels=np.array([int(entry["label"] == "malignant") for entry in rows]),
        acquisitions=[entry["acquisition"] for entry in rows],
        candidates=candidates,
        colours=[bag.colours for bag in bags[COLOUR_TILING]],
        fingerprints=[bag.fingerprint for bag in bags[TILINGS[-1]]],
    )


def evaluate(
    cohort: Cohort, members: np.ndarray, groups: Sequence[str], repeats: int, workers: int
) -> tuple[OutOfFold, dict[str, Any]]:
    """Cross-validate on some images and compare with the colour baselines."""
    labels = cohort.labels[members]
    candidates = [
        replace(candidate, bags=[candidate.bags[b] for b in members])
        for candidate in cohort.candidates
    ]
    cross_validate = partial(
        nested_cross_validation, labels=labels, groups=groups, repeats=repeats, workers=workers
    )
    out = cross_validate(candidates)
    settings = replace(SETTINGS, weight_decay=1.0)
    pooled = cross_validate(
        [
            replace(
                candidate, aggregator="embedding-mean", options={"hidden": None}, settings=settings
            )
            for candidate in candidates
        ]
    )
    entry = {
        MEAN_POOLING: figures(labels, pooled.logits, groups),
        **compare(out, [cohort.colours[b] for b in members], labels, groups),
    }
    say(repr(entry))
    return out, entry


def make_card(
    cohort: Cohort, final: Candidate, temperature: float, evaluation: dict[str, Any]
) -> ClassifierCard:
    """Return the card of the classifier trained on all images."""
    tiling = next(tiling for tiling in TILINGS if str(tiling) == final.name)
    encoder = shipped_encoder()
    return ClassifierCard(
        name="breast-malignancy",
        title="Benign or malignant breast tissue, H&E",
        classes=("benign", "malignant"),
        link="sigmoid",
        encoder=EncoderRef(encoder.name, encoder.fingerprint),
        in_dim=encoder.dim,
        tile_px=tiling.tile_px,
        mpp=tiling.mpp,
        mpp_assumed=True,
        overlap=0.0,
        aggregator=AggregatorRef("gated-abmil", OPTIONS),
        temperature=temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        training=TrainingFacts(
            bags=len(cohort.labels),
            bags_of_each_class={
                "benign": int((cohort.labels == 0).sum()),
                "malignant": int((cohort.labels == 1).sum()),
            },
            bag_fingerprints=tuple(sorted(cohort.fingerprints)),
            notes={
                "acquisitions": len(set(cohort.acquisitions)),
                "tiles per image": round(float(np.mean([len(bag) for bag in final.bags])), 1),
                "epochs": SETTINGS.epochs,
                "learning rate": SETTINGS.learning_rate,
                "weight decay": SETTINGS.weight_decay,
                "instance dropout": SETTINGS.instance_dropout,
                "seed": 0,
            },
        ),
        evaluation=evaluation,
    )


def notes(card: ClassifierCard) -> str:
    """Return the description of the classifier in Markdown."""
    evaluation = card.evaluation
    training = card.training
    main_entry = evaluation["by acquisition"]
    rows = [
        line
        for key, entry in evaluation.items()
        if key.startswith("by ")
        for line in table(entry, f"{key}: ")
    ]
    chosen = ", ".join(f"{name} ({count}×)" for name, count in main_entry["chosen"].items())
    return f"""# breast-malignancy

Benign or malignant breast tissue in H&E, by gated attention MIL (Ilse et al. 2018, eq. 9) over
`efficientnet-lite0` features.

**{card.intended_use}**

- Tiles: {card.tile_px} px at {card.mpp:g} µm per pixel. **The scale is assumed**: the training
  images store none; their nuclei look like 40× (taken as {IMAGE_MPP} µm per pixel).
- Trained on {training.bags} images ({training.bags_of_each_class["benign"]} benign,
  {training.bags_of_each_class["malignant"]} malignant) of
  {training.notes["acquisitions"]} acquisitions,
  896 × 768 pixels each: few, and from few slides. AUC differences under about 0.03 mean nothing
  here.
- Not trained on whole slides: skin, fat, glass, ink and other organs are unknown to it. It will
  answer all the same, and say that they are unlike its training data.

## How good

{evaluation["protocol"]}.
Mean over repeats (95 % interval, bootstrap over groups), ± standard deviation over repeats.

| folds: method | AUC | accuracy at 0.5 |
| --- | --- | --- |
{chr(10).join(rows)}

AUC gained by acquisition:

{verdicts(main_entry)}

Colour statistics: logistic regression on 21 RGB statistics per tile (mean, standard deviation, five
quantiles; tiles of {COLOUR_TILING}), averaged over the tiles of an image, or with the least and the
largest value beside the average; regularisation chosen on inner folds.
The acquisition `{ONE_CLASS_ACQUISITION}` has benign images only; "without" leaves it out.
"By image" lets images of one acquisition stand on both sides and is optimistic. Two benign images
overlap; they belong to one acquisition.
Chosen by the inner folds: {chosen}.

Temperature {card.temperature:g}, fitted on the out-of-fold logits above (it changes neither AUC nor
accuracy at 0.5).

{blank_table(card)}

## Terms

Weights: research use only. Data: UCSB Bio-Segmentation Benchmark, E. D. Gelasca, J. Byun, B. Obara,
B. S. Manjunath, "Evaluation and benchmark for biological image segmentation", ICIP 2008. The images
are not part of this package.

Made by `scripts/train_breast_malignancy.py`.
"""


if __name__ == "__main__":
    main()
