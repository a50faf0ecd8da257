"""Train and judge `colon-epithelium`: CRCHistoPhenotypes (Sirinukunwattana et al. 2016), does an image hold epithelial nuclei, and where.

python -m scripts.train_colon_epithelium FOLDER    where FOLDER holds nuclei.csv and img1.jpg ... img100.jpg
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import replace

import numpy as np

from napari_mil.encoders import create_encoder
from napari_mil.inference.card import ClassifierCard
from napari_mil.training.metrics import auc, estimate, fit_temperature
from scripts.head_fitting import FitSettings
from scripts.nested_cross_validation import (
    Candidate,
    OutOfFold,
    choose_candidate,
    fit_head,
    nested_cross_validation,
)
from scripts.shipped_classifiers import (
    PictureBag,
    Tiling,
    compare,
    figures,
    headline,
    parse_arguments,
    picture_bag,
    say,
    table,
    verdicts,
    write_bundle,
)

MPP = 0.55
"""As published: 20x, 0.55 µm per pixel."""
TILINGS = (Tiling(27, MPP), Tiling(64, MPP))
"""The papers' 27 px patches first; tiles that hold a few nuclei beside them."""
OPTIONS = {"stream_losses": True}
SETTINGS = FitSettings(learning_rate=1e-3, weight_decay=0.1)
EPOCHS = {TILINGS[0]: (30,), TILINGS[1]: (30, 100)}
"""The instance stream learns from one tile a visit, so longer training is offered where it is affordable."""
LICENCE = "weights: research use only (CRCHistoPhenotypes, Sirinukunwattana et al. 2016)"


def tile_labels(bag: PictureBag, nuclei: list[tuple[float, float, str]]) -> np.ndarray:
    """1 where a tile holds an epithelial nucleus, 0 where it holds other nuclei only, -1 where none is marked: int (N,).

    7 312 nuclei of the set are marked without a class, so a tile without marks is not one without nuclei.
    """
    position = np.array([(x, y) for x, y, _ in nuclei])
    epithelial = np.array([kind == "epithelial" for *_, kind in nuclei])
    corner = bag.coords[:, None]
    inside = ((position >= corner) & (position < corner + bag.grid.tile_size0)).all(
        2
    )  # (N, nuclei)
    return np.where(inside.any(1), (inside & epithelial).any(1), -1)


def tiling_of(candidate: str) -> Tiling:
    """Return the tiling that a candidate's name begins with."""
    return next(t for t in TILINGS if candidate.startswith(f"{t},"))


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    nuclei: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    with (arguments.data / "nuclei.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            nuclei[entry["image"]].append(
                (float(entry["x"]) - 1, float(entry["y"]) - 1, entry["class"])
            )
    names = sorted(nuclei, key=lambda name: int(name.removeprefix("img")))
    labels = np.array(
        [int(any(kind == "epithelial" for *_, kind in nuclei[name])) for name in names]
    )
    bags = {
        tiling: [picture_bag(arguments.data / f"{name}.jpg", MPP, tiling) for name in names]
        for tiling in TILINGS
    }
    instance_labels = {
        str(t): [tile_labels(bag, nuclei[name]) for bag, name in zip(bags[t], names, strict=True)]
        for t in TILINGS
    }
    say(f"bags are ready: {labels.sum()} of {len(labels)} positive")

    def candidates(kind: str) -> list[Candidate]:
        return [
            Candidate(
                f"{t}, {epochs} epochs",
                [getattr(bag, kind) for bag in bags[t]],
                "dsmil",
                OPTIONS,
                replace(SETTINGS, epochs=epochs),
            )
            for t in TILINGS
            for epochs in EPOCHS[t]
        ]

    ours = nested_cross_validation(
        candidates("features"), labels, names, repeats=arguments.repeats, workers=arguments.workers
    )
    weak_colour = nested_cross_validation(
        candidates("colours"), labels, names, repeats=arguments.repeats, workers=arguments.workers
    )
    by_image = compare(ours, [bag.colours for bag in bags[TILINGS[-1]]], labels, names)
    by_image["colour statistics, same DSMIL"] = figures(labels, weak_colour.logits, names)
    by_tile = {
        "this classifier": tile_area(ours, instance_labels, names),
        "colour statistics, same DSMIL": tile_area(weak_colour, instance_labels, names),
    }
    say(repr(by_image))
    say(repr(by_tile))

    everything = np.arange(len(names))
    final = choose_candidate(candidates("features"), labels, names, everything, 5, seed=0)
    tiling = tiling_of(final.name)
    temperature = round(fit_temperature(labels, ours.logits), 3)
    head = fit_head(final, labels, everything, seed=0)
    encoder = create_encoder("texture", device="cpu")
    card = ClassifierCard(
        name="colon-epithelium",
        title="Colon tissue with or without epithelium, H&E",
        classes=("no epithelium", "epithelium"),
        link="sigmoid",
        encoder={"name": encoder.name, "fingerprint": encoder.fingerprint},
        in_dim=encoder.dim,
        tile_px=tiling.tile_px,
        mpp=tiling.mpp,
        mpp_assumed=False,
        overlap=0.0,
        aggregator={"name": "dsmil", "options": OPTIONS},
        temperature=temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        training={
            "images": len(names),
            "with epithelium": int(labels.sum()),
            "nuclei": sum(map(len, nuclei.values())),
            "tiles per image": round(float(np.mean([len(b) for b in final.bags])), 1),
            "epochs": final.settings.epochs,
            "learning rate": SETTINGS.learning_rate,
            "weight decay": SETTINGS.weight_decay,
            "instance dropout": SETTINGS.instance_dropout,
            "seed": 0,
        },
        evaluation={
            "headline": headline(by_image, "by image"),
            "protocol": f"honest: {arguments.repeats} x 5 folds by image; tiling and epochs chosen on 3 inner folds "
            "(from a short list drawn up with this data in view); threshold 0.5; last epoch",
            "by image": by_image,
            "tiles": by_tile,
        },
    )
    folder = write_bundle(card, head, notes(card))
    say(f"{final.name}, temperature {temperature}; written to {folder}")


def tile_area(
    out: OutOfFold, instance_labels: dict[str, list[np.ndarray]], names: list[str]
) -> dict[str, float]:
    """AUC of out-of-fold instance scores, epithelial tile against tile with other nuclei, interval by image; scored per repeat, averaged."""
    folds_per_repeat = len(out.chosen) // len(out.logits)
    estimates = []
    for repeat, scores in enumerate(out.instance_logits):
        tilings = out.chosen[repeat * folds_per_repeat : (repeat + 1) * folds_per_repeat]
        truth, values, owner = [], [], []
        for b, logits in enumerate(scores):
            assert logits is not None
            known = (
                marks := instance_labels[str(tiling_of(tilings[out.folds[repeat, b]]))][b]
            ) >= 0
            truth.append(marks[known])
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
    return {
        key: round(float(np.mean([getattr(e, key) for e in estimates])), 4)
        for key in ("mean", "low", "high")
    } | {
        "sd_repeats": round(
            float(np.std([e.mean for e in estimates], ddof=1)) if len(estimates) > 1 else 0.0, 4
        )
    }


def notes(card: ClassifierCard) -> str:
    """Return the card for people."""
    by_image, tiles, training = card.evaluation["by image"], card.evaluation["tiles"], card.training
    tile_rows = [
        f"| {name} | {e['mean']:.3f} ({e['low']:.3f}–{e['high']:.3f}), ± {e['sd_repeats']:.3f} |"
        for name, e in tiles.items()
    ]
    chosen = ", ".join(f"{name} ({count}×)" for name, count in by_image["chosen"].items())
    return f"""# colon-epithelium

Does colon tissue in H&E hold epithelium, and where: dual-stream MIL (seed paper, eq. 3–8) over `texture` features.
Its instance scores light up epithelium.

**{card.intended_use}**

- Tiles: {card.tile_px} px at {card.mpp:g} µm per pixel, the published scale of the training images.
- Trained on {training["images"]} images of 500 × 500 pixels ({training["with epithelium"]} with epithelium) with image labels alone;
  nuclei serve only to judge the instance scores.
- The images come from ten slides of nine patients and no mapping is published: folds are by image, which is the best possible and still optimistic.
- "Epithelial or not" is nearly a matter of colour: a map that looks right proves little; compare with the baselines.

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

Colour statistics: logistic regression on 21 RGB statistics per tile (mean, standard deviation, five quantiles), averaged over the tiles of an image,
or with the least and the largest value beside the average; regularisation chosen on inner folds. "Same DSMIL" trains this network on those 21
statistics instead of texture.
Chosen by the inner folds: {chosen}.

Temperature {card.temperature:g}, fitted on the out-of-fold logits above (it changes neither AUC nor accuracy at 0.5).

## Terms

Weights: research use only. Data: CRCHistoPhenotypes, K. Sirinukunwattana, S. E. A. Raza, Y.-W. Tsang, D. R. J. Snead, I. A. Cree, N. M. Rajpoot,
"Locality sensitive deep learning for detection and classification of nuclei in routine colon cancer histology images",
IEEE Transactions on Medical Imaging 35 (2016). The images are not part of this package.

Made by `scripts/train_colon_epithelium.py`.
"""


if __name__ == "__main__":
    main()
