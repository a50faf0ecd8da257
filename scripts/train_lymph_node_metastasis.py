"""Training and evaluation of the classifier `lymph-node-metastasis`.

PatchCamelyon (Veeling et al. 2018): tiles of lymph nodes with or without metastasis; slides are
bags that are drawn from them.

python -m scripts.train_lymph_node_metastasis FOLDER

FOLDER holds labels.csv and the tiles. The tile network learns on `train`; its settings, the
calibration and the answer of a slide are chosen on `valid`; figures are those of `test`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from napari_mil.inference.card import ClassifierCard
from napari_mil.inference.facts import AggregatorRef, EncoderRef, TrainingFacts
from napari_mil.training.evaluation.metrics import auc, calibration_error
from scripts.head_fitting import standardisation
from scripts.lymph_node_heads import (
    Line,
    SlideRule,
    TileSettings,
    aggregator_options,
    assemble,
    fit_tile_network,
    softmax_mean,
    tile_logits,
)
from scripts.nested_cross_validation import FittedHead
from scripts.percentile_bootstrap import estimate
from scripts.shipped_classifiers import (
    BASELINES,
    COLOURS,
    OWN,
    blank_table,
    colour_statistics,
    difference,
    parse_arguments,
    say,
    shipped_encoder,
    verdicts,
    write_bundle,
)

TILE_PX = 96
MPP = 0.97
"""µm per pixel of a tile: level 2 of slides scanned at 40x."""
CLASSES = ("normal", "metastasis")
SETTINGS = (
    TileSettings(),
    TileSettings(input_dropout=0.0),
    TileSettings(weight_decay=1.0),
    TileSettings(hidden=256, input_dropout=0.5),
)
"""Tile networks to choose from."""
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse strengths of regularisation of linear competitors."""
SHARPNESSES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Sharpnesses of the attention to choose from."""
SLIDE_TILES = 500
"""Tiles of a slide on which figures are given."""
SIZES = (100, 1000)
"""Fewest and most tiles of a slide on which its answer is calibrated."""
FEW = 0.01
"""Share of tumour tiles on which the sharpness is chosen."""
MOST = 0.2
"""Largest share of tumour tiles."""
SHARES = (0.005, FEW, 0.02, 0.05, 0.1)
"""Shares of tumour tiles on which figures are given."""
SLIDES = 300
"""Slides of each class that are drawn at once."""
RESAMPLES = 100
"""Draws of the tiles, with replacement, for an interval."""
BLOCKS = 20
"""Blocks of neighbouring tiles that stand for patients where none are known."""
MAXIMUM = "largest tile logit"
LINEAR = "logistic regression on the same features"
TILE_COLOURS = "colour statistics"
LICENCE = (
    "weights: BSD-3-Clause, no research-only terms; "
    "data: PatchCamelyon (CC0 1.0, Veeling et al. 2018; after CAMELYON16)"
)


@dataclass(frozen=True)
class Tiles:
    """Tiles of one split."""

    pixels: np.ndarray
    """uint8 (N, 96, 96, 3)."""
    labels: np.ndarray
    """1 where the middle of a tile holds tumour, int (N,)."""
    features: np.ndarray
    """float32 (N, D), not standardised."""
    colours: np.ndarray
    """Colour statistics, float32 (N, 21)."""

    @property
    def normal(self) -> np.ndarray:
        """Numbers of the tiles without tumour."""
        return np.flatnonzero(self.labels == 0)

    @property
    def tumour(self) -> np.ndarray:
        """Numbers of the tiles with tumour."""
        return np.flatnonzero(self.labels == 1)


@dataclass(frozen=True)
class Fitted:
    """Tile network with its calibration and the answer of a slide."""

    head: FittedHead
    settings: TileSettings
    rule: SlideRule
    temperature: float
    valid_auc: float


def main() -> None:
    arguments = parse_arguments(__doc__ or "")
    splits = {name: read_tiles(arguments.data, name) for name in ("train", "valid", "test")}
    say("features are ready")
    fitted = fit(splits["train"], splits["valid"])
    say(repr((fitted.settings, fitted.rule, fitted.temperature, fitted.valid_auc)))
    test = splits["test"]
    tiles = evaluate_tiles(fitted, splits)
    slides = evaluate_slides(fitted, splits["train"], test)
    area = tiles[OWN]
    evaluation = {
        "headline": f"AUC {area['mean']:.2f} ({area['low']:.2f}–{area['high']:.2f}), by tile",
        "protocol": "honest: trained on the split `train`; settings, calibration and the answer of "
        "a slide chosen on `valid`; figures of `test`, on which nothing was chosen; last epoch",
        "tiles": tiles,
        **slides,
        "calibration error": calibration(fitted, test),
        "valid AUC of tiles": round(fitted.valid_auc, 4),
    }
    say(repr(evaluation))
    card = make_card(fitted, splits["train"], evaluation)
    train = splits["train"]
    blocks = [str(k * BLOCKS // len(train.labels)) for k in range(len(train.labels))]
    # A slide's tiles are not known: a tile is a bag, so that its limit does not rest on bags that
    # mix many slides.
    folder = write_bundle(card, fitted.head, list(train.features[:, None]), blocks, notes)
    say(f"written to {folder}")


def read_tiles(folder: Path, split: str) -> Tiles:
    """Read and encode the tiles of a split, in the order of the set they come from."""
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    rows.sort(key=lambda row: int(row["pcam_index"]))
    pixels = np.stack([np.asarray(Image.open(folder / row["file"]).convert("RGB")) for row in rows])
    return Tiles(
        pixels,
        np.array([int(row["label"] == "tumor") for row in rows]),
        shipped_encoder().encode(pixels),
        colour_statistics(pixels),
    )


def turned(pixels: np.ndarray, k: int) -> np.ndarray:
    """Return tiles turned by quarters, and from k = 4 mirrored too; k = 0 leaves them."""
    quarters = np.rot90(pixels, k % 4, (1, 2))
    return np.ascontiguousarray(quarters[:, :, ::-1] if k >= 4 else quarters)


def fit(train: Tiles, valid: Tiles) -> Fitted:
    """Train tile networks; choose one, its calibration and the answer of a slide on `valid`."""
    encoder = shipped_encoder()
    mean, scale = standardisation([train.features])
    views = [train.features] + [encoder.encode(turned(train.pixels, k)) for k in range(1, 8)]
    features = (np.concatenate(views) - mean) / scale
    labels = np.tile(train.labels, len(views))
    networks = [fit_tile_network(features, labels, settings) for settings in SETTINGS]
    standardised = (valid.features - mean) / scale
    logits = [tile_logits(network, standardised) for network in networks]
    areas = [auc(valid.labels, values) for values in logits]
    say(repr(dict(zip(SETTINGS, areas, strict=True))))
    best = int(np.argmax(areas))
    line = fit_line(logits[best], valid.labels)
    rule = choose_rule(line(logits[best]), valid)
    temperature = round(1 / line.slope, 3)
    aggregator = assemble(networks[best], SETTINGS[best], line, rule, temperature)
    head = FittedHead(aggregator, mean, scale)
    return Fitted(head, SETTINGS[best], rule, temperature, areas[best])


def fit_line(logits: np.ndarray, labels: np.ndarray) -> Line:
    """Fit slope and offset under which logits are likeliest (Platt 1999)."""
    model = LogisticRegression(C=1e6).fit(logits[:, None], labels)
    return Line(float(model.coef_[0, 0]), float(model.intercept_[0]))


def choose_rule(logits: np.ndarray, tiles: Tiles) -> SlideRule:
    """Choose the sharpness on slides with few tumour tiles; fit the line on all kinds."""
    random = np.random.default_rng(0)
    few, labels = draw_slides(random, tiles.normal, tiles.tumour, FEW)
    areas = [auc(labels, softmax_mean(logits[few], sharpness)) for sharpness in SHARPNESSES]
    sharpness = SHARPNESSES[int(np.argmax(areas))]
    slides, labels = draw_mixture(random, tiles)
    pooled = np.array([softmax_mean(logits[slide], sharpness) for slide in slides])
    return SlideRule(sharpness, fit_line(pooled, labels))


def draw_slides(
    random: np.random.Generator,
    normal: np.ndarray,
    tumour: np.ndarray,
    share: float,
    count: int = SLIDES,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw tiles, with replacement, for slides with a share of tumour and for normal ones.

    Returns
    -------
    numbers, labels
        int (2 * count, 500), normal slides last, and int (2 * count,).
    """
    n_tumour = max(1, round(SLIDE_TILES * share))
    positive = np.concatenate(
        [
            random.choice(tumour, (count, n_tumour)),
            random.choice(normal, (count, SLIDE_TILES - n_tumour)),
        ],
        1,
    )
    negative = random.choice(normal, (count, SLIDE_TILES))
    return np.concatenate([positive, negative]), np.repeat([1, 0], count)


def draw_mixture(random: np.random.Generator, tiles: Tiles) -> tuple[list[np.ndarray], np.ndarray]:
    """Draw slides of all sizes, half of them normal, the others with up to 20 % tumour."""
    slides = []
    labels = np.tile([1, 0], SLIDES)
    for label in labels:
        size = int(np.exp(random.uniform(*np.log(SIZES))))
        n_tumour = max(1, round(size * random.uniform(0, MOST))) if label else 0
        slides.append(
            np.concatenate(
                [
                    random.choice(tiles.tumour, n_tumour),
                    random.choice(tiles.normal, size - n_tumour),
                ]
            )
        )
    return slides, labels


def calibrated_logits(fitted: Fitted, tiles: Tiles) -> np.ndarray:
    """Compute calibrated logits (N,) of tiles by the aggregator that ships."""
    logits = fitted.head.instance_logits(tiles.features)
    assert logits is not None
    return np.asarray(logits.astype(np.float64) / fitted.temperature)


def evaluate_tiles(fitted: Fitted, splits: dict[str, Tiles]) -> dict[str, Any]:
    """Compare tile scores on `test` with linear competitors."""
    test = splits["test"]
    names = [str(k) for k in range(len(test.labels))]
    own = calibrated_logits(fitted, test)
    others = {
        LINEAR: linear_logits([splits[name].features for name in splits], splits),
        TILE_COLOURS: linear_logits([splits[name].colours for name in splits], splits),
    }
    gains = {
        name: difference(test.labels, own[None], logits[None], names)
        for name, logits in others.items()
    }
    return {
        **{
            name: estimate(auc, test.labels, logits[None], names).as_dict()
            for name, logits in {OWN: own, **others}.items()
        },
        "auc gain over": gains,
    }


def linear_logits(matrices: Sequence[np.ndarray], splits: dict[str, Tiles]) -> np.ndarray:
    """Return logits on `test` of logistic regression, its strength chosen on `valid`.

    Matrices are those of train, valid and test.
    """
    mean, scale = standardisation([matrices[0]])
    train, valid, test = ((matrix - mean) / scale for matrix in matrices)
    models = [
        LogisticRegression(C=strength, max_iter=1000).fit(train, splits["train"].labels)
        for strength in STRENGTHS
    ]
    areas = [auc(splits["valid"].labels, model.decision_function(valid)) for model in models]
    return np.asarray(models[int(np.argmax(areas))].decision_function(test))


def evaluate_slides(fitted: Fitted, train: Tiles, test: Tiles) -> dict[str, Any]:
    """Compare answers of slides on `test` with colour statistics and the largest tile."""
    logits = calibrated_logits(fitted, test)
    entry: dict[str, Any] = {}
    normal: dict[str, list[float]] = {"median probability": [], "share called metastasis": []}
    for share in SHARES:
        baseline = colour_model(train, share)
        areas: dict[str, list[float]] = {OWN: [], MAXIMUM: [], COLOURS: []}
        for k in range(RESAMPLES + 1):
            random = np.random.default_rng(k)
            pools = [test.normal, test.tumour]
            if k:
                pools = [random.choice(pool, len(pool)) for pool in pools]
            slides, labels = draw_slides(random, pools[0], pools[1], share, SLIDES // 3)
            pooled = fitted.rule.line(fitted.rule.pool(logits[slides]))
            areas[OWN].append(auc(labels, pooled))
            areas[MAXIMUM].append(auc(labels, logits[slides].max(1)))
            colours = summaries(test.colours, slides)
            areas[COLOURS].append(auc(labels, baseline.decision_function(colours)))
            if share == FEW:
                probabilities = expit(pooled[labels == 0])
                normal["median probability"].append(float(np.median(probabilities)))
                normal["share called metastasis"].append(float((probabilities >= 0.5).mean()))
        gain = [own - other for own, other in zip(areas[OWN], areas[COLOURS], strict=True)]
        entry[f"{share:.1%}"] = {
            **{name: interval(values) for name, values in areas.items()},
            "auc gain over": {COLOURS: interval(gain)},
        }
    return {
        "slides by share of tumour tiles": entry,
        "normal tissue": {name: interval(values) for name, values in normal.items()},
    }


def colour_model(train: Tiles, share: float) -> Any:
    """Fit logistic regression on colours, mean and extremes, of slides drawn from `train`."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    slides, labels = draw_slides(np.random.default_rng(0), train.normal, train.tumour, share)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    return model.fit(summaries(train.colours, slides), labels)


def summaries(colours: np.ndarray, slides: np.ndarray) -> np.ndarray:
    """Summarise the colours of slides: (B, N) numbers of tiles -> (B, 63)."""
    return np.stack([BASELINES[COLOURS](colours[slide]) for slide in slides])


def interval(values: Sequence[float]) -> dict[str, float]:
    """Return the first value, and the 95 % interval of the resampled others."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {
        "mean": round(values[0], 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def calibration(fitted: Fitted, test: Tiles) -> dict[str, float]:
    """Return the calibration errors of tiles and of slides on `test`."""
    logits = calibrated_logits(fitted, test)
    slides, labels = draw_mixture(np.random.default_rng(1), test)
    rule = fitted.rule
    pooled = rule.line(np.array([softmax_mean(logits[slide], rule.sharpness) for slide in slides]))
    return {
        "tiles": round(calibration_error(test.labels, logits[:, None]), 4),
        "slides": round(calibration_error(labels, pooled[:, None]), 4),
        "AUC of these slides": round(auc(labels, pooled), 4),
    }


def make_card(fitted: Fitted, train: Tiles, evaluation: dict[str, Any]) -> ClassifierCard:
    """Return the card of the classifier."""
    encoder = shipped_encoder()
    settings = fitted.settings
    return ClassifierCard(
        name="lymph-node-metastasis",
        title="Metastasis of breast cancer in lymph nodes, H&E",
        classes=CLASSES,
        link="sigmoid",
        encoder=EncoderRef(encoder.name, encoder.fingerprint),
        in_dim=encoder.dim,
        tile_px=TILE_PX,
        mpp=MPP,
        mpp_assumed=False,
        overlap=0.0,
        aggregator=AggregatorRef("dsmil-released", dict(aggregator_options(settings))),
        temperature=fitted.temperature,
        threshold=0.5,
        licence=LICENCE,
        intended_use="Research and teaching only; not for diagnosis.",
        training=TrainingFacts(
            instances=len(train.labels),
            notes={
                "tiles of each class": {
                    name: int((train.labels == k).sum()) for k, name in enumerate(CLASSES)
                },
                "hidden units": settings.hidden,
                "input dropout": settings.input_dropout,
                "weight decay": settings.weight_decay,
                "epochs": settings.epochs,
                "views of a tile": 8,
                "sharpness of the attention": fitted.rule.sharpness,
                "seed": settings.seed,
            },
        ),
        evaluation=evaluation,
    )


def notes(card: ClassifierCard) -> str:
    """Return the description of the classifier in Markdown."""
    evaluation = card.evaluation
    facts = card.training.notes
    counts = facts["tiles of each class"]
    tiles = evaluation["tiles"]
    slides = evaluation["slides by share of tumour tiles"]
    few = slides[f"{FEW:.1%}"]
    tile_rows = [f"| {name} | {cell(tiles[name])} |" for name in (OWN, LINEAR, TILE_COLOURS)]
    slide_rows = [
        f"| {share} | {cell(entry[OWN])} | {cell(entry[MAXIMUM])} | {cell(entry[COLOURS])} |"
        for share, entry in slides.items()
    ]
    error = evaluation["calibration error"]
    normal = evaluation["normal tissue"]
    return f"""# lymph-node-metastasis

Lymph nodes in H&E, with or without metastasis of breast cancer, and where: every tile has a score
of its own, by a network of one hidden layer over `efficientnet-lite0` features; the slide's answer
weighs the tiles' logits by a softmax of them (dual-stream MIL as released by Li et al. 2021).

**{card.intended_use}**

- Tiles: {card.tile_px} px at {card.mpp:g} µm per pixel. Labels are about the middle 32 px of a
  tile: tumour at its rim counts as normal.
- The tile network was trained on {card.training.instances} tiles ({counts[CLASSES[0]]} normal,
  {counts[CLASSES[1]]} with tumour) of `train`, turned and mirrored in all eight ways.
- Attention, sharpness {facts["sharpness of the attention"]:g}, and the line that turns the
  weighted mean into the answer of a slide were fitted on bags drawn from `valid`; the bag stream
  was not trained end to end.
- No slide is known: bags are random tiles of many slides, so what differs between slides (stain,
  scanner, sinuses, germinal centres) is averaged out in them. **On real slides expect less.**
- Probabilities of tiles hold where half of the tiles are tumour, those of slides where half of the
  slides are.

## How good

{evaluation["protocol"]}.
In brackets 95 % intervals, bootstrap over tiles.

| tiles: method | AUC |
| --- | --- |
{chr(10).join(tile_rows)}

AUC gained, tiles:

{verdicts(tiles)}

| tumour tiles among {SLIDE_TILES} | this classifier | {MAXIMUM} | {COLOURS} |
| --- | --- | --- | --- |
{chr(10).join(slide_rows)}

AUC gained, slides with {FEW:.0%} tumour:

{verdicts(few)}

Colour statistics: logistic regression on 21 RGB statistics per tile (mean, standard deviation, five
quantiles), of slides on their average, least and largest values.

Slides of 100 to 1000 tiles, half of them normal, the others with up to 20 % tumour: AUC
{error["AUC of these slides"]:.3f}. Calibration error {error["tiles"]:.3f} of tiles,
{error["slides"]:.3f} of these slides.

Normal tissue, bags of {SLIDE_TILES} tiles: median probability of metastasis
{cell(normal["median probability"])}; called metastasis: {cell(normal["share called metastasis"])}
of the bags.

{blank_table(card)}

## Terms

Weights: BSD-3-Clause, as the code; no research-only terms. Data: PatchCamelyon (CC0 1.0),
B. S. Veeling, J. Linmans, J. Winkens, T. Cohen, M. Welling, "Rotation equivariant CNNs for digital
pathology", MICCAI 2018; after CAMELYON16, B. Ehteshami Bejnordi et al., JAMA 318 (2017).

Made by `scripts/train_lymph_node_metastasis.py`.
"""


def cell(figure: dict[str, float]) -> str:
    """Return a figure with its interval as text."""
    return f"{figure['mean']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


if __name__ == "__main__":
    main()
