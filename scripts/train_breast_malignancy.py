"""Train and judge `breast-malignancy`: UCSB breast images (Gelasca et al. 2008), benign against malignant.

python -m scripts.train_breast_malignancy FOLDER    where FOLDER holds images.csv, benign/ and malignant/
"""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import Any

import numpy as np

from napari_mil.encoders import create_encoder
from napari_mil.inference.card import ClassifierCard
from napari_mil.training.metrics import fit_temperature
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
    compare,
    headline,
    parse_arguments,
    picture_bag,
    say,
    table,
    verdicts,
    write_bundle,
)

IMAGE_MPP = 0.25
"""Assumed: the originals store no scale; nuclei are 30-40 px wide, as at 40x."""
ONE_CLASS_ACQUISITION = "ytma55_030603"
"""Holds six benign images and no malignant one: a classifier may learn the acquisition instead of the disease."""
TILINGS = (Tiling(32, 0.25), Tiling(64, 0.25), Tiling(64, 0.5))
"""The papers' 32 px patches first; larger tiles and another scale beside them."""
OPTIONS = {"hidden": 128, "attention_dim": 32, "dropout": 0.5}
SETTINGS = FitSettings(epochs=30, learning_rate=1e-3, weight_decay=0.1, instance_dropout=0.0)
LICENCE = (
    "weights: research use only (data of the UCSB Bio-Segmentation Benchmark, Gelasca et al. 2008)"
)


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    with (arguments.data / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([int(entry["label"] == "malignant") for entry in rows])
    groups = [entry["acquisition"] for entry in rows]
    bags = {
        tiling: [picture_bag(arguments.data / entry["file"], IMAGE_MPP, tiling) for entry in rows]
        for tiling in TILINGS
    }
    candidates = [
        Candidate(str(t), [bag.features for bag in bags[t]], "gated-abmil", OPTIONS, SETTINGS)
        for t in TILINGS
    ]
    colours = [bag.colours for bag in bags[TILINGS[-1]]]
    say("bags are ready")

    def judge(some: np.ndarray, named: list[str]) -> tuple[OutOfFold, dict[str, Any]]:
        chosen = [
            replace(candidate, bags=[candidate.bags[b] for b in some]) for candidate in candidates
        ]
        out = nested_cross_validation(
            chosen, labels[some], named, repeats=arguments.repeats, workers=arguments.workers
        )
        entry = compare(out, [colours[b] for b in some], labels[some], named)
        say(repr(entry))
        return out, entry

    everything = np.arange(len(rows))
    without = np.flatnonzero(np.array(groups) != ONE_CLASS_ACQUISITION)
    grouped, by_acquisition = judge(everything, groups)
    _, without_one = judge(without, [groups[b] for b in without])
    _, by_image = judge(everything, [str(b) for b in everything])

    final = choose_candidate(candidates, labels, groups, everything, 5, seed=0)
    tiling = next(t for t in TILINGS if str(t) == final.name)
    temperature = round(fit_temperature(labels, grouped.logits), 3)
    head = fit_head(final, labels, everything, seed=0)
    encoder = create_encoder("texture", device="cpu")
    card = ClassifierCard(
        name="breast-malignancy",
        title="Benign or malignant breast tissue, H&E",
        classes=("benign", "malignant"),
        link="sigmoid",
        encoder={"name": encoder.name, "fingerprint": encoder.fingerprint},
        in_dim=encoder.dim,
        tile_px=tiling.tile_px,
        mpp=tiling.mpp,
        mpp_assumed=True,
        overlap=0.0,
        aggregator={"name": "gated-abmil", "options": OPTIONS},
        temperature=temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        training={
            "images": len(rows),
            "benign": int((labels == 0).sum()),
            "malignant": int((labels == 1).sum()),
            "acquisitions": len(set(groups)),
            "tiles per image": round(float(np.mean([len(b) for b in final.bags])), 1),
            "epochs": SETTINGS.epochs,
            "learning rate": SETTINGS.learning_rate,
            "weight decay": SETTINGS.weight_decay,
            "instance dropout": SETTINGS.instance_dropout,
            "seed": 0,
        },
        evaluation={
            "headline": headline(by_acquisition, "by acquisition"),
            "protocol": f"honest: {arguments.repeats} x 5 folds by acquisition; tiling chosen on 3 inner folds "
            "(from a short list drawn up with this data in view); threshold 0.5; last epoch",
            "by acquisition": by_acquisition,
            "by acquisition, without the one-class acquisition": without_one,
            "by image (optimistic)": by_image,
        },
    )
    folder = write_bundle(card, head, notes(card))
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def notes(card: ClassifierCard) -> str:
    """Return the card for people."""
    evaluation, training = card.evaluation, card.training
    main_entry = evaluation["by acquisition"]
    rows = [
        line
        for key, entry in evaluation.items()
        if key not in ("protocol", "headline")
        for line in table(entry, f"{key}: ")
    ]
    chosen = ", ".join(f"{name} ({count}×)" for name, count in main_entry["chosen"].items())
    return f"""# breast-malignancy

Benign or malignant breast tissue in H&E, by gated attention MIL (Ilse et al. 2018, eq. 9) over `texture` features.

**{card.intended_use}**

- Tiles: {card.tile_px} px at {card.mpp:g} µm per pixel. **The scale is assumed**: the training images store none;
  their nuclei look like 40× (taken as {IMAGE_MPP} µm per pixel).
- Trained on {training["images"]} images ({training["benign"]} benign, {training["malignant"]} malignant) of {training["acquisitions"]} acquisitions,
  896 × 768 pixels each: few, and from few slides. AUC differences under about 0.03 mean nothing here.
- Not trained on whole slides: skin, fat, glass, ink and other organs are unknown to it, and it will answer all the same.

## How good

{evaluation["protocol"]}.
Mean over repeats (95 % interval, bootstrap over groups), ± standard deviation over repeats.

| folds: method | AUC | accuracy at 0.5 |
| --- | --- | --- |
{chr(10).join(rows)}

AUC gained by acquisition:

{verdicts(main_entry)}

Colour statistics: logistic regression on 21 RGB statistics per tile (mean, standard deviation, five quantiles), averaged over the tiles of an image,
or with the least and the largest value beside the average; regularisation chosen on inner folds.
The acquisition `{ONE_CLASS_ACQUISITION}` has benign images only; "without" leaves it out. "By image" lets images of one acquisition stand on both
sides and is optimistic. Two benign images overlap; they belong to one acquisition.
Chosen by the inner folds: {chosen}.

Temperature {card.temperature:g}, fitted on the out-of-fold logits above (it changes neither AUC nor accuracy at 0.5).

## Terms

Weights: research use only. Data: UCSB Bio-Segmentation Benchmark, E. D. Gelasca, J. Byun, B. Obara, B. S. Manjunath,
"Evaluation and benchmark for biological image segmentation", ICIP 2008. The images are not part of this package.

Made by `scripts/train_breast_malignancy.py`.
"""


if __name__ == "__main__":
    main()
