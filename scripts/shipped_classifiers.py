"""What the two training scripts share: bags from labelled pictures, the colour baseline, the bundle."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.bags import TileGrid, tile_grid
from napari_mil.encoders import create_encoder
from napari_mil.inference.card import SHIPPED, ClassifierCard
from napari_mil.inference.classifier import Classifier
from napari_mil.slides import open_slide
from napari_mil.training.folds import stratified_group_folds
from napari_mil.training.metrics import accuracy, auc, estimate
from scripts.nested_cross_validation import FittedHead, OutOfFold

PAPER_SATURATION = 0.05


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut."""

    tile_px: int
    mpp: float
    overlap: float = 0.0

    def __str__(self) -> str:
        return f"{self.tile_px} px at {self.mpp:g} µm/px" + (
            f", overlap {self.overlap:g}" if self.overlap else ""
        )


@dataclass(frozen=True)
class PictureBag:
    """One picture as a bag, with the plan of its tiles."""

    features: np.ndarray
    colours: np.ndarray
    """float32 (N, 21): the baseline's colour statistics of the same tiles."""
    coords: np.ndarray
    grid: TileGrid


def picture_bag(path: Path, image_mpp: float, tiling: Tiling) -> PictureBag:
    """Cut a picture as the product cuts a slide; tiles of mean saturation below 0.05 are left out, as in the papers."""
    encoder = create_encoder("texture", device="cpu")
    with open_slide(path, mpp=image_mpp) as slide:
        grid = tile_grid(slide, tiling.tile_px, tiling.mpp, overlap=tiling.overlap)
        tiles = np.stack([grid.read(slide, i) for i in range(len(grid))])
    largest = tiles.max(3).astype(np.float32)
    kept = ((largest - tiles.min(3)) / np.maximum(largest, 1)).mean((1, 2)) >= PAPER_SATURATION
    kept |= not kept.any()
    return PictureBag(
        encoder.encode(tiles[kept]), colour_statistics(tiles[kept]), grid.coords[kept], grid
    )


def colour_statistics(tiles: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and five quantiles of R, G and B: float32 (N, 21)."""
    pixels = tiles.reshape(len(tiles), -1, 3).astype(np.float32)
    quantiles = np.percentile(pixels, [5, 25, 50, 75, 95], axis=1)
    return np.concatenate([pixels.mean(1), pixels.std(1), *quantiles], 1).astype(np.float32)


BASELINES = {
    "colour statistics, averaged": lambda bag: bag.mean(0),
    "colour statistics, mean and extremes": lambda bag: np.concatenate(
        [bag.mean(0), bag.min(0), bag.max(0)]
    ),
}
"""What a plain logistic regression sees of a bag of colour statistics: the usual average, and a stronger summary."""


def colour_baseline(
    bags: Sequence[np.ndarray],
    summary: str,
    labels: np.ndarray,
    groups: Sequence[str],
    folds: np.ndarray,
) -> np.ndarray:
    """Logits (repeats, B) of logistic regression on a summary of a bag's colour statistics, on the same folds.

    Its strength of regularisation is chosen on inner folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = np.stack([BASELINES[summary](bag) for bag in bags])
    strengths = (0.01, 0.1, 1.0, 10.0)

    def logits(strength: float, training: np.ndarray, test: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000)).fit(
            matrix[training], labels[training]
        )
        return np.asarray(model.decision_function(matrix[test]))

    def inner_area(strength: float, training: np.ndarray, seed: int) -> float:
        inner = stratified_group_folds(labels[training], [groups[b] for b in training], 3, seed)
        out = np.empty(len(training))
        for k in range(3):
            out[inner == k] = logits(strength, training[inner != k], training[inner == k])
        return auc(labels[training], out)

    result = np.empty(folds.shape)
    for repeat, drawn in enumerate(folds):
        for fold in np.unique(drawn):
            training, test = np.flatnonzero(drawn != fold), np.flatnonzero(drawn == fold)
            best = max(strengths, key=lambda strength: inner_area(strength, training, repeat))
            result[repeat, test] = logits(best, training, test)
    return result


def compare(
    out: OutOfFold, colours: Sequence[np.ndarray], labels: np.ndarray, groups: Sequence[str]
) -> dict[str, Any]:
    """Figures of a classifier and of the colour baselines on the same folds, and what it gains over each."""
    entry: dict[str, Any] = {"this classifier": figures(labels, out.logits, groups)}
    gains = {}
    for summary in BASELINES:
        baseline = colour_baseline(colours, summary, labels, groups, out.folds)
        entry[summary] = figures(labels, baseline, groups)
        gains[summary] = difference(labels, out.logits, baseline, groups)
    return {**entry, "auc gain over": gains, "chosen": dict(Counter(out.chosen))}


def headline(entry: dict[str, Any], folds: str) -> str:
    """Return the figure a result card shows."""
    area = entry["this classifier"]["auc"]
    return f"AUC {area['mean']:.2f} ({area['low']:.2f}–{area['high']:.2f}), {folds}"


def verdicts(entry: dict[str, Any]) -> str:
    """Say in words, per baseline, whether it is beaten."""
    lines = []
    for summary, gain in entry["auc gain over"].items():
        judged = (
            "the interval lies above zero: beaten on these folds"
            if gain["low"] > 0
            else "the interval lies below zero: **this classifier is worse**"
            if gain["high"] < 0
            else "the interval includes zero: **not shown to be beaten**"
        )
        lines.append(
            f"- over {summary}: {gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}); {judged}."
        )
    return "\n".join(lines)


def figures(labels: np.ndarray, logits: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
    """AUC and accuracy at probability .5 with 95 % intervals, as plain numbers."""
    return {
        "auc": estimate(auc, labels, logits, groups).as_dict(),
        "accuracy": estimate(accuracy, labels, logits, groups).as_dict(),
    }


def difference(
    labels: np.ndarray,
    ours: np.ndarray,
    baseline: np.ndarray,
    groups: Sequence[str],
    samples: int = 2000,
) -> dict[str, float]:
    """AUC of ours minus AUC of the baseline on the same folds, with a 95 % bootstrap interval over groups."""
    names = np.asarray(groups)
    unique = np.unique(names)
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(samples):
        index = np.concatenate(
            [np.flatnonzero(names == g) for g in random.choice(unique, len(unique))]
        )
        drawn.append(
            np.mean(
                [
                    auc(labels[index], a[index]) - auc(labels[index], b[index])
                    for a, b in zip(ours, baseline, strict=True)
                ]
            )
        )
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    mean = np.mean([auc(labels, a) - auc(labels, b) for a, b in zip(ours, baseline, strict=True)])
    return {
        "mean": round(float(mean), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def write_bundle(card: ClassifierCard, head: FittedHead, notes: str) -> Path:
    """Write a shipped bundle and check that it fits."""
    classifier = Classifier(
        card, head.aggregator, torch.from_numpy(head.mean), torch.from_numpy(head.scale)
    )
    folder = SHIPPED / card.name
    classifier.save(folder, notes)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > 5e6:
        raise SystemExit(
            f"{folder.name} takes {size / 1e6:.1f} MB, more than the 5 MB a shipped bundle may"
        )
    return folder


def row(name: str, entry: dict[str, Any]) -> str:
    """One line of a card's table."""
    cells = [
        f"{e['mean']:.3f} ({e['low']:.3f}–{e['high']:.3f}), ± {e['sd_repeats']:.3f}"
        for e in (entry["auc"], entry["accuracy"])
    ]
    return f"| {name} | {cells[0]} | {cells[1]} |"


def table(entry: dict[str, Any], prefix: str = "") -> list[str]:
    """Rows of every method in an entry of `compare`."""
    return [
        row(prefix + name, figures_of) for name, figures_of in entry.items() if "auc" in figures_of
    ]


def parse_arguments(what: str) -> argparse.Namespace:
    """Read the folder with the data and the number of processes."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("data", type=Path, help="folder with the labelled pictures")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def say(text: str) -> None:
    """Tell the developer."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
