"""Training and evaluation of the classifier `colon-epithelium`.

CRCHistoPhenotypes (Sirinukunwattana et al. 2016): does an image hold epithelial nuclei, and where.

python -m scripts.train_colon_epithelium FOLDER

FOLDER holds nuclei.csv and img1.jpg ... img100.jpg.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.facts import AggregatorRef, EncoderRef, TrainingFacts
from napari_mil.training.evaluation.metrics import auc, fit_temperature
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
    PictureBag,
    Tiling,
    blank_table,
    compare,
    figures,
    format_estimate,
    headline,
    parse_arguments,
    picture_bag,
    say,
    shipped_encoder,
    table,
    verdicts,
    write_bundle,
)

MPP = 0.55
"""µm per pixel of the images, as published (20x)."""
TILINGS = (Tiling(64, MPP),)
"""Tilings to choose from: tiles of a few nuclei."""
AGGREGATOR = "dsmil-released"
OPTIONS = {"hidden": 64, "dropout": 0.5, "average_streams": True}
SETTINGS = FitSettings(epochs=60, weight_decay=0.1, instance_dropout=0.5)
Nucleus = tuple[float, float, str]
"""(x, y, class) of an annotated nucleus, in pixels."""
LICENCE = "weights: research use only (CRCHistoPhenotypes, Sirinukunwattana et al. 2016)"


@dataclass(frozen=True)
class Cohort:
    """Labelled images with their bags for every tiling."""

    names: list[str]
    """Name of each image; images are the groups of cross-validation."""
    nuclei: dict[str, list[Nucleus]]
    """Annotated nuclei of each image."""
    labels: np.ndarray
    """1 where an image holds epithelial nuclei, int (B,)."""
    bags: dict[Tiling, list[PictureBag]]
    """Bag of each image."""


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    cohort = read_cohort(arguments.data)
    names = cohort.names
    labels = cohort.labels
    say(f"bags are ready: {labels.sum()} of {len(labels)} positive")

    cross_validate = partial(
        nested_cross_validation,
        labels=labels,
        groups=names,
        repeats=arguments.repeats,
        workers=arguments.workers,
    )
    out_of_fold = cross_validate(candidates_of(cohort, "features"))
    by_colour = cross_validate(candidates_of(cohort, "colours"), repeats=1)
    colours = [bag.colours for bag in cohort.bags[TILINGS[-1]]]
    by_image = compare(out_of_fold, colours, labels, names)
    by_image["colour statistics, same DSMIL"] = figures(labels, by_colour.logits, names)
    instance_labels = {
        str(tiling): [
            tile_labels(bag, cohort.nuclei[name]) for bag, name in zip(bags, names, strict=True)
        ]
        for tiling, bags in cohort.bags.items()
    }
    by_tile = {
        "this classifier": tile_auc(out_of_fold, instance_labels),
        "colour statistics, same DSMIL": tile_auc(by_colour, instance_labels),
    }
    say(repr(by_image))
    say(repr(by_tile))

    everything = np.arange(len(names))
    final = choose_candidate(
        candidates_of(cohort, "features"), labels, names, everything, 5, seed=0
    )
    temperature = round(fit_temperature(labels, out_of_fold.logits), 3)
    head = fit_head(final, labels, everything, seed=0)
    evaluation = {
        "headline": headline(by_image, "by image"),
        "protocol": f"honest: {arguments.repeats} x 5 folds by image; "
        "tiling, aggregator and settings drawn up with this data in view, none chosen on folds; "
        "threshold 0.5; last epoch",
        "by image": by_image,
        "tiles": by_tile,
    }
    card = make_card(cohort, final, temperature, evaluation)
    folder = write_bundle(card, head, final.bags, names, notes)
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def read_cohort(folder: Path) -> Cohort:
    """Read the annotated nuclei and make the bags of the images."""
    nuclei: dict[str, list[Nucleus]] = defaultdict(list)
    with (folder / "nuclei.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            # The file counts pixels from 1.
            nuclei[entry["image"]].append(
                (float(entry["x"]) - 1, float(entry["y"]) - 1, entry["class"])
            )
    names = sorted(nuclei, key=lambda name: int(name.removeprefix("img")))
    labels = [int(any(kind == "epithelial" for *_, kind in nuclei[name])) for name in names]
    bags = {
        tiling: [picture_bag(folder / f"{name}.jpg", MPP, tiling) for name in names]
        for tiling in TILINGS
    }
    return Cohort(names, nuclei, np.array(labels), bags)


def tile_labels(bag: PictureBag, nuclei: list[Nucleus]) -> np.ndarray:
    """Label tiles by the nuclei they hold, int (N,).

    1 where a tile holds an epithelial nucleus, 0 where it holds other nuclei only, -1 where none is
    marked. 7 312 nuclei of the set are marked without a class, so a tile without marks is not one
    without nuclei.
    """
    position = np.array([(x, y) for x, y, _ in nuclei])
    epithelial = np.array([kind == "epithelial" for *_, kind in nuclei])
    corner = bag.coords[:, None]
    # (N, nuclei)
    inside = ((position >= corner) & (position < corner + bag.grid.tile_size0)).all(2)
    return np.where(inside.any(1), (inside & epithelial).any(1), -1)


def candidates_of(cohort: Cohort, kind: str) -> list[Candidate]:
    """Return a candidate per tiling.

    `kind` is ``features`` or ``colours``, the arrays of a bag to train on.
    """
    return [
        Candidate(
            str(tiling),
            [getattr(bag, kind) for bag in cohort.bags[tiling]],
            AGGREGATOR,
            OPTIONS,
            SETTINGS,
        )
        for tiling in TILINGS
    ]


def tiling_of(candidate: str) -> Tiling:
    """Return the tiling that a candidate is named after."""
    return next(tiling for tiling in TILINGS if candidate == str(tiling))


def make_card(
    cohort: Cohort, final: Candidate, temperature: float, evaluation: dict[str, Any]
) -> ClassifierCard:
    """Return the card of the classifier trained on all images."""
    tiling = tiling_of(final.name)
    encoder = shipped_encoder()
    return ClassifierCard(
        name="colon-epithelium",
        title="Colon tissue with or without epithelium, H&E",
        classes=("no epithelium", "epithelium"),
        link="sigmoid",
        encoder=EncoderRef(encoder.name, encoder.fingerprint),
        in_dim=encoder.dim,
        tile_px=tiling.tile_px,
        mpp=tiling.mpp,
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef(AGGREGATOR, OPTIONS),
        temperature=temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        training=TrainingFacts(
            bags=len(cohort.names),
            bags_of_each_class={
                "no epithelium": int((~cohort.labels.astype(bool)).sum()),
                "epithelium": int(cohort.labels.sum()),
            },
            bag_fingerprints=tuple(sorted(bag.fingerprint for bag in cohort.bags[TILINGS[0]])),
            notes={
                "nuclei": sum(map(len, cohort.nuclei.values())),
                "tiles per image": round(float(np.mean([len(bag) for bag in final.bags])), 1),
                "epochs": final.settings.epochs,
                "learning rate": SETTINGS.learning_rate,
                "weight decay": SETTINGS.weight_decay,
                "instance dropout": SETTINGS.instance_dropout,
                "seed": 0,
            },
        ),
        evaluation=evaluation,
    )


def tile_auc(out: OutOfFold, instance_labels: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Compute the AUC of out-of-fold instance scores.

    Tiles with epithelial nuclei count against tiles with other nuclei; the interval is by image.
    Each repeat is scored alone, and figures are averaged over repeats.
    """
    folds_per_repeat = len(out.chosen) // len(out.logits)
    estimates = []
    for repeat, scores in enumerate(out.instance_logits):
        chosen = out.chosen[repeat * folds_per_repeat : (repeat + 1) * folds_per_repeat]
        truth: list[np.ndarray] = []
        values: list[np.ndarray] = []
        owner: list[np.ndarray] = []
        for b, logits in enumerate(scores):
            assert logits is not None
            tiling = tiling_of(chosen[out.folds[repeat, b]])
            labels = instance_labels[str(tiling)][b]
            known = labels >= 0
            truth.append(labels[known])
            values.append(logits[known])
            owner.append(np.full(int(known.sum()), b))
        estimates.append(
            estimate(
                auc,
                np.concatenate(truth).tolist(),
                np.concatenate(values)[None],
                np.concatenate(owner).tolist(),
                samples=200,
            )
        )
    figure = {
        key: round(float(np.mean([getattr(each, key) for each in estimates])), 4)
        for key in ("mean", "low", "high")
    }
    means = [each.mean for each in estimates]
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    return {**figure, "sd_repeats": round(deviation, 4)}


def notes(card: ClassifierCard) -> str:
    """Return the description of the classifier in Markdown."""
    by_image = card.evaluation["by image"]
    training = card.training
    tile_rows = [
        f"| {name} | {format_estimate(figure)} |"
        for name, figure in card.evaluation["tiles"].items()
    ]
    return f"""# colon-epithelium

Does colon tissue in H&E hold epithelium, and where: dual-stream MIL as released by Li et al. 2021,
both streams averaged, over `efficientnet-lite0` features. Its instance scores light up epithelium.

**{card.intended_use}**

- Tiles: {card.tile_px} px at {card.mpp:g} µm per pixel, the published scale of the training images.
- Trained on {training.bags} images of 500 × 500 pixels
  ({training.bags_of_each_class["epithelium"]} with epithelium) with image labels alone; nuclei
  serve only to judge the instance scores.
- The images come from ten slides of nine patients and no mapping is published: folds are by image,
  which is the best possible and still optimistic.
- "Epithelial or not" is nearly a matter of colour: a map that looks right proves little; compare
  with the baselines.

## How good

{card.evaluation["protocol"]}.
Mean over repeats (95 % interval, bootstrap over images), ± standard deviation over repeats.

| images: method | AUC | accuracy at 0.5 |
| --- | --- | --- |
{chr(10).join(table(by_image))}

AUC gained:

{verdicts(by_image)}

| tiles with epithelial nuclei against tiles with other nuclei, out of fold | AUC |
| --- | --- |
{chr(10).join(tile_rows)}

Colour statistics: logistic regression on 21 RGB statistics per tile (mean, standard deviation, five
quantiles), averaged over the tiles of an image, or with the least and the largest value beside the
average; regularisation chosen on inner folds. "Same DSMIL" trains this network on those 21
statistics instead, on one draw of the folds.

Temperature {card.temperature:g}, fitted on the out-of-fold logits above (it changes neither AUC nor
accuracy at 0.5).

{blank_table(card)}

## Terms

Weights: research use only. Data: CRCHistoPhenotypes, K. Sirinukunwattana, S. E. A. Raza,
Y.-W. Tsang, D. R. J. Snead, I. A. Cree, N. M. Rajpoot, "Locality sensitive deep learning for
detection and classification of nuclei in routine colon cancer histology images",
IEEE Transactions on Medical Imaging 35 (2016). The images are not part of this package.

Made by `scripts/train_colon_epithelium.py`.
"""


if __name__ == "__main__":
    main()
