"""Figures of cohorts without any signal (`make null`).

Instances are normal noise, and the sizes of bags and the labels are drawn independently of them and
of each other. The honest protocol has to find nothing; what the published one finds is what
choosing on the test fold makes of noise.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.coverage import PAGE, replace_part
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.evaluation.cross_validation import cross_validate
from napari_mil.training.evaluation.protocols import Protocol

HEADS = {
    "gated-abmil": {"hidden": 16, "attention_dim": 8},
    "dsmil": {},
    "mi-net": {"dims": (16, 16, 16)},
}
COHORTS = 40
"""Cohorts of an aggregator; the standard error of their mean AUC is about 0.015."""
BAGS = 40
EVEN = 20
"""Positives that the folds share evenly."""
UNEVEN = 17
"""Positives of which folds have three or four."""
SEEDS = 10_000
"""First seed of the cohorts, apart from those of folds and weights."""
DIM = 8
SIZES = (5, 41)
FOLDS = 5
RUNS: tuple[tuple[int, Protocol], ...] = (
    (EVEN, "honest"),
    (UNEVEN, "honest"),
    (EVEN, "published"),
)
BEGIN = "<!-- null -->"
END = "<!-- end of null -->"


@dataclass(frozen=True)
class Found:
    """What a cross-validation found in one cohort."""

    pooled: float
    """AUC of the answers of all folds."""
    fold_mean: float
    """Mean of the AUCs within the folds."""
    accuracy: float
    covered: bool
    """Whether the interval of the AUC holds 0.5."""


def write_null_cohort(root: Path, seed: int, positives: int = EVEN) -> Cohort:
    """Write bags of noise in two classes and scan them."""
    random = np.random.default_rng(SEEDS + seed)
    labels = random.permutation(BAGS) < positives
    for b, label in enumerate(labels):
        folder = root / ("absent", "present")[int(label)]
        folder.mkdir(parents=True, exist_ok=True)
        bag = random.normal(size=(int(random.integers(*SIZES)), DIM))
        np.save(folder / f"{b:02d}.npy", bag.astype(np.float32))
    return scan_annotated_folder(root)


def evaluate_null(
    aggregator: str, protocol: Protocol, cohorts: int, *, positives: int = EVEN, epochs: int = 8
) -> list[Found]:
    """Cross-validate an aggregator on fresh cohorts of noise.

    Parameters
    ----------
    aggregator
        One of `HEADS`.
    protocol
        ``"honest"`` or ``"published"``.
    cohorts
        Number of cohorts.
    positives
        Positive bags of each cohort.
    epochs
        Epochs at a learning rate of 0.005, enough to fit noise.
    """
    found = []
    for seed in range(cohorts):
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            config = make_config(
                aggregator=aggregator,
                aggregator_options=HEADS[aggregator],
                epochs=epochs,
                learning_rate=5e-3,
                seed=seed,
                device="cpu",
                threads=1,
            )
            evaluation = cross_validate(
                write_null_cohort(root / "cohort", seed, positives),
                config,
                folds=FOLDS,
                protocol=protocol,
                workers=1,
                settings=Settings(
                    user_folder=root / "user", cache_folder=root / "cache", encoder_threads=1
                ),
            )
        area = evaluation.metrics["auc"]
        accuracy = evaluation.metrics["accuracy"].mean
        covered = area.low <= 0.5 <= area.high
        found.append(Found(area.mean, area.fold_mean, accuracy, covered))
    return found


def main() -> None:
    torch.set_num_threads(1)
    lines = [
        f"{COHORTS} cohorts of {BAGS} bags of {SIZES[0]} to {SIZES[1] - 1} instances, {FOLDS} "
        "folds; means over cohorts ± their standard error.",
        "",
        "| aggregator | positive | protocol | AUC, pooled | AUC, mean of folds | accuracy "
        "| intervals that hold 0.5 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for aggregator in HEADS:
        for positives, protocol in RUNS:
            found = evaluate_null(aggregator, protocol, COHORTS, positives=positives)
            lines.append(f"| `{aggregator}` | {positives} | {protocol} | {_columns(found)} |")
            print(lines[-1], file=sys.stderr)
    replace_part(PAGE, BEGIN, END, [*lines, ""])
    print(f"written to {PAGE}", file=sys.stderr)


def _columns(found: Sequence[Found]) -> str:
    figures = [
        [one.pooled for one in found],
        [one.fold_mean for one in found],
        [one.accuracy for one in found],
    ]
    means = [
        f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"
        for values in figures
    ]
    covered = sum(one.covered for one in found)
    return " | ".join([*means, f"{covered} of {len(found)}"])


if __name__ == "__main__":
    main()
