"""Shared steps of the scripts that train the shipped classifiers.

Bags from labelled pictures, the colour baseline, tables of figures and the bundle.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.bags import TileGrid, tile_grid
from napari_mil.encoders import Encoder, create_encoder
from napari_mil.inference.aggregation import answer_bag
from napari_mil.inference.card import SHIPPED, ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.inference.likeness import describe
from napari_mil.slides import open_slide
from napari_mil.training.evaluation.folds import stratified_group_folds
from napari_mil.training.evaluation.metrics import accuracy, auc
from scripts.nested_cross_validation import FittedHead, OutOfFold
from scripts.percentile_bootstrap import estimate

PAPER_SATURATION = 0.05
"""Mean saturation below which the papers discard tiles."""
LARGEST_BUNDLE_MB = 5
"""Most megabytes that a shipped bundle may take."""
BLANK_LEVELS = {
    "white": (255, 255, 255),
    "light grey": (225, 225, 225),
    "yellowish": (250, 244, 215),
}
"""RGB of tiles without tissue, as glass, a grey background and old mounting medium look."""
BLANK_TILES = 16
"""Tiles of a bag without tissue."""
BLANK_NOISE = 2.0
"""Standard deviation of the levels of a tile without tissue, as of a camera."""
BLANK = "tiles without tissue"
"""Name of their answers in the figures of a card."""


@dataclass(frozen=True)
class Tiling:
    """Size, scale and overlap of the tiles of a picture."""

    tile_px: int
    mpp: float
    overlap: float = 0.0

    def __str__(self) -> str:
        return f"{self.tile_px} px at {self.mpp:g} µm/px" + (
            f", overlap {self.overlap:g}" if self.overlap else ""
        )


@dataclass(frozen=True)
class PictureBag:
    """Picture as a bag, with the plan of its tiles."""

    features: np.ndarray
    colours: np.ndarray
    """Colour statistics of the same tiles for the baseline, float32 (N, 21)."""
    coords: np.ndarray
    grid: TileGrid
    fingerprint: str
    """Identifier of the picture's content, by which it is known again."""


def shipped_encoder() -> Encoder:
    """Make the encoder of the shipped classifiers.

    In float32, so that another processor trains the same weights.
    """
    return create_encoder("efficientnet-lite0", device="cpu", precision="float32")


def picture_bag(path: Path, image_mpp: float, tiling: Tiling) -> PictureBag:
    """Cut a picture into tiles as the product does; encode them.

    Tiles of mean saturation below 0.05 are left out, as in the papers, unless all are.
    """
    encoder = shipped_encoder()
    with open_slide(path, mpp=image_mpp) as slide:
        grid = tile_grid(slide, tiling.tile_px, tiling.mpp, overlap=tiling.overlap)
        tiles = np.stack([grid.read(slide, i) for i in range(len(grid))])
        fingerprint = slide.fingerprint
    coloured = are_coloured(tiles)
    tiles = tiles[coloured]
    features = encoder.encode(tiles)
    colours = colour_statistics(tiles)
    return PictureBag(features, colours, grid.coords[coloured], grid, fingerprint)


def are_coloured(tiles: np.ndarray) -> np.ndarray:
    """Say which tiles the papers keep, bool (N,); all of them where they would keep none."""
    largest = tiles.max(3).astype(np.float32)
    saturation = ((largest - tiles.min(3)) / np.maximum(largest, 1)).mean((1, 2))
    coloured = saturation >= PAPER_SATURATION
    return np.asarray(coloured | (not coloured.any()))


def colour_statistics(tiles: np.ndarray) -> np.ndarray:
    """Compute colour statistics of tiles, float32 (N, 21).

    Mean, standard deviation and five quantiles of R, G and B.
    """
    pixels = tiles.reshape(len(tiles), -1, 3).astype(np.float32)
    quantiles = np.percentile(pixels, [5, 25, 50, 75, 95], axis=1)
    return np.concatenate([pixels.mean(1), pixels.std(1), *quantiles], 1).astype(np.float32)


OWN = "this classifier"
"""Name of the classifier's own figures, the first row of a table."""
COLOURS = "colour statistics, mean and extremes"
"""Name of the stronger baseline."""
BASELINES = {
    "colour statistics, averaged": lambda bag: bag.mean(0),
    COLOURS: lambda bag: np.concatenate([bag.mean(0), bag.min(0), bag.max(0)]),
}
"""Summaries of a bag of colour statistics for logistic regression.

The usual average, and a stronger summary.
"""


def colour_baseline(
    bags: Sequence[np.ndarray],
    summary: str,
    labels: np.ndarray,
    groups: Sequence[str],
    folds: np.ndarray,
) -> np.ndarray:
    """Compute logits (repeats, B) of the colour baseline on given folds.

    The baseline is logistic regression on a summary of a bag's colour statistics. Its strength of
    regularisation is chosen on inner folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = np.stack([BASELINES[summary](bag) for bag in bags])
    strengths = (0.01, 0.1, 1.0, 10.0)

    def fit_and_predict(strength: float, training: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Fit on training bags and return logits of test bags."""
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        model.fit(matrix[training], labels[training])
        return np.asarray(model.decision_function(matrix[test]))

    def inner_auc(strength: float, training: np.ndarray, seed: int) -> float:
        """Return the AUC over three inner folds of the training bags."""
        inner = stratified_group_folds(labels[training], [groups[b] for b in training], 3, seed)
        logits = np.empty(len(training))
        for k in range(3):
            logits[inner == k] = fit_and_predict(
                strength, training[inner != k], training[inner == k]
            )
        return auc(labels[training], logits)

    logits = np.empty(folds.shape)
    for repeat, fold_of_bag in enumerate(folds):
        for fold in np.unique(fold_of_bag):
            training = np.flatnonzero(fold_of_bag != fold)
            test = np.flatnonzero(fold_of_bag == fold)
            areas = [inner_auc(strength, training, repeat) for strength in strengths]
            best = strengths[areas.index(max(areas))]
            logits[repeat, test] = fit_and_predict(best, training, test)
    return logits


def compare(
    out: OutOfFold, colours: Sequence[np.ndarray], labels: np.ndarray, groups: Sequence[str]
) -> dict[str, Any]:
    """Compare a classifier with the colour baselines on the same folds.

    Returns
    -------
    dict
        Figures of the classifier and of each baseline, the AUC gained over each baseline, and how
        often each candidate was chosen.
    """
    entry: dict[str, Any] = {OWN: figures(labels, out.logits, groups)}
    gains = {}
    for summary in BASELINES:
        baseline = colour_baseline(colours, summary, labels, groups, out.folds)
        entry[summary] = figures(labels, baseline, groups)
        gains[summary] = difference(labels, out.logits, baseline, groups)
    return {**entry, "auc gain over": gains, "chosen": dict(Counter(out.chosen))}


def headline(entry: dict[str, Any], folds: str) -> str:
    """Return the AUC with its interval, as a result card shows it."""
    area = entry[OWN]["auc"]
    return f"AUC {area['mean']:.2f} ({area['low']:.2f}–{area['high']:.2f}), {folds}"


def verdicts(entry: dict[str, Any]) -> str:
    """Describe, per baseline, whether the classifier beats it."""
    lines = []
    for summary, gain in entry["auc gain over"].items():
        if gain["low"] > 0:
            verdict = "the interval lies above zero: beaten on these folds"
        elif gain["high"] < 0:
            verdict = "the interval lies below zero: **this classifier is worse**"
        else:
            verdict = "the interval includes zero: **not shown to be beaten**"
        interval = f"{gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"
        lines.append(f"- over {summary}: {interval}; {verdict}.")
    return "\n".join(lines)


def figures(labels: np.ndarray, logits: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
    """Compute AUC and accuracy at probability 0.5 with 95 % intervals."""
    return {
        "auc": estimate(auc, labels, logits, groups).as_dict(),
        "accuracy": estimate(accuracy, labels, logits, groups).as_dict(),
    }


def difference(
    labels: np.ndarray,
    logits: np.ndarray,
    baseline: np.ndarray,
    groups: Sequence[str],
    samples: int = 2000,
) -> dict[str, float]:
    """Compute the AUC of a classifier minus that of the baseline.

    Both are on the same folds; the 95 % interval is a bootstrap over groups.
    """
    names = np.asarray(groups)
    unique = np.unique(names)
    members = {name: np.flatnonzero(names == name) for name in unique}
    random = np.random.default_rng(0)

    def mean_gain(index: np.ndarray) -> float:
        """Return the gain on some bags, averaged over repeats."""
        gains = [
            auc(labels[index], row[index]) - auc(labels[index], baseline_row[index])
            for row, baseline_row in zip(logits, baseline, strict=True)
        ]
        return float(np.mean(gains))

    sampled_gains = []
    for _ in range(samples):
        sampled_groups = random.choice(unique, len(unique))
        sampled_gains.append(
            mean_gain(np.concatenate([members[group] for group in sampled_groups]))
        )
    low, high = np.nanpercentile(sampled_gains, [2.5, 97.5])
    mean = mean_gain(np.arange(len(labels)))
    return {
        "mean": round(mean, 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def write_bundle(
    card: ClassifierCard,
    head: FittedHead,
    bags: Sequence[np.ndarray],
    groups: Sequence[str],
    notes: Callable[[ClassifierCard], str],
) -> Path:
    """Write a shipped bundle and check its size.

    Parameters
    ----------
    card
        Gets the answers for tiles without tissue.
    head
        Aggregator and standardisation.
    bags, groups
        Features of the training bags, not standardised, and what must not be split: the bundle
        describes them, so that it can say how unlike a bag is.
    notes
        Writes the description of a card.
    """
    standardised = [(bag - head.mean) / head.scale for bag in bags]
    classifier = Classifier(
        card,
        head.aggregator,
        torch.from_numpy(head.mean),
        torch.from_numpy(head.scale),
        likeness=describe(standardised, groups),
    )
    card = replace(card, evaluation={**card.evaluation, BLANK: blank_answers(classifier)})
    folder = SHIPPED / card.name
    replace(classifier, card=card).save(folder, notes(card))
    size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    if size_mb > LARGEST_BUNDLE_MB:
        raise SystemExit(
            f"{folder.name} takes {size_mb:.1f} MB, "
            f"more than the {LARGEST_BUNDLE_MB} MB a shipped bundle may"
        )
    return folder


def blank_tiles(level: Sequence[int], tile_px: int) -> np.ndarray:
    """Make tiles without tissue, uint8 (16, H, W, 3)."""
    random = np.random.default_rng(0)
    noise = random.normal(0, BLANK_NOISE, (BLANK_TILES, tile_px, tile_px, 3))
    return np.clip(np.array(level) + noise, 0, 255).round().astype(np.uint8)


def blank_answers(classifier: Classifier) -> dict[str, dict[str, Any]]:
    """Ask a classifier about tiles without tissue; answers by colour.

    Each answer holds the likeliest class, its probability, and how unlike the training bags the
    tiles are (1 is the limit).
    """
    encoder = shipped_encoder()
    answers = {}
    for name, level in BLANK_LEVELS.items():
        features = encoder.encode(blank_tiles(level, int(classifier.card.tile_px or 0)))
        probabilities = answer_bag(classifier, features).probabilities
        unlikeness = classifier.unlikeness(features)
        answers[name] = {
            "class": classifier.card.classes[int(probabilities.argmax())],
            "probability": round(float(probabilities.max()), 3),
            "unlike": None if unlikeness is None else round(unlikeness.bag, 2),
        }
    return answers


def blank_table(card: ClassifierCard) -> str:
    """Return the section of a card on tiles without tissue."""
    rows = [
        f"| {name} | {answer['class']} {answer['probability']:.2f} | {answer['unlike']:g} × |"
        for name, answer in card.evaluation[BLANK].items()
    ]
    return "\n".join(
        [
            "## Glass and blank tiles",
            "",
            "No class fits a tile without tissue, and an answer is given all the same; beyond "
            "1 × the limit it is marked as unlike the training data.",
            "",
            "| bag of blank tiles | answer | unlike, in multiples of the limit |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def row(name: str, entry: dict[str, Any]) -> str:
    """Return one line of a card's table."""
    return f"| {name} | {format_estimate(entry['auc'])} | {format_estimate(entry['accuracy'])} |"


def format_estimate(figure: dict[str, float]) -> str:
    """Return mean, interval and deviation over repeats, where there are several, as text."""
    interval = f"{figure['low']:.3f}–{figure['high']:.3f}"
    text = f"{figure['mean']:.3f} ({interval})"
    deviation = figure.get("sd_repeats")
    return text if deviation is None else f"{text}, ± {deviation:.3f}"


def table(entry: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the rows of every method in an entry of `compare`."""
    methods = {OWN: entry[OWN], **entry}
    return [row(prefix + name, method) for name, method in methods.items() if "auc" in method]


def parse_arguments(description: str) -> argparse.Namespace:
    """Read the data folder and the numbers of repeats and processes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="folder with the labelled pictures")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def say(text: str) -> None:
    """Write a line of progress to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
