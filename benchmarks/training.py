"""Benchmark of the folds of a cross-validation.

Heads trained together as one stack of weights, beside the same heads one after another.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_mil.events import CancellationToken, ignore
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.evaluation.cross_validation import fold_tasks
from napari_mil.training.evaluation.fold_runs import fit_fold
from napari_mil.training.network import build, make_plan
from napari_mil.training.store import BagStore
from napari_mil.training.vectorised import fit_together

BAGS = 92
"""Number of bags, as in MUSK1; their sizes are 2 to 40."""
DIM = 166
FOLDS = 10
REPEATS = 5
HEADS = (
    ("gated-abmil", {"hidden": 64, "attention_dim": 32}),
    ("gated-abmil", {}),
    ("dsmil", {}),
    ("dsmil-released", {}),
    ("embedding-mean", {"hidden": 64}),
)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_bags(root)
        cohort = scan_annotated_folder(root)
        print("## Folds of a cross-validation\n")
        print(
            f"{FOLDS} folds × {REPEATS} repeats of {BAGS} bags of 2 to 40 instances of {DIM}; "
            "two epochs, one thread; logits of both ways compared.\n"
        )
        print(
            "| head | weights | one after another s | together s | ratio "
            "| largest difference of logits |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
        for name, options in HEADS:
            report(cohort, name, options)


def write_bags(root: Path) -> None:
    """Write bags of random features in two classes."""
    random = np.random.default_rng(0)
    for b in range(BAGS):
        folder = root / "ab"[b % 2]
        folder.mkdir(exist_ok=True)
        size = int(np.clip(random.gamma(1.2, 4.5), 2, 40))
        np.save(folder / f"{b}.npy", random.normal(size=(size, DIM)).astype(np.float32))


def report(cohort: Cohort, name: str, options: dict[str, Any]) -> None:
    """Train the folds of one head both ways and print its row."""
    config = make_config(
        aggregator=name, aggregator_options=options, epochs=2, device="cpu", threads=1
    ).with_recipe()
    store = BagStore(cohort, config, Settings(), ignore, CancellationToken(), None)
    plan = make_plan(config, store, None, ignore)
    tasks = fold_tasks(store.cohort, config, FOLDS, REPEATS, "honest")
    started = time.perf_counter()
    alone = [
        fit_fold(store, config, plan, None, torch.device("cpu"), task, CancellationToken())
        for task in tasks
    ]
    alone_seconds = time.perf_counter() - started
    started = time.perf_counter()
    together = fit_together(store, config, plan, None, tasks, CancellationToken())
    together_seconds = time.perf_counter() - started
    network = build(config, plan, store, None, ignore)
    weights = sum(weight.numel() for weight in network.parameters())
    difference = max(
        float(np.abs(a.test - b.test).max()) for a, b in zip(alone, together, strict=True)
    )
    title = f"`{name}`" + (f", hidden {options['hidden']}" if options else "")
    print(
        f"| {title} | {weights:,} | {alone_seconds:.1f} | {together_seconds:.1f} "
        f"| {alone_seconds / together_seconds:.1f} | {difference:.0e} |"
    )


if __name__ == "__main__":
    main()
