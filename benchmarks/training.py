"""The folds of a cross-validation: heads trained together as one stack of weights, beside the same heads one after another."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from napari_mil.events import CancellationToken, ignore
from napari_mil.settings import Settings
from napari_mil.training.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.evaluation import fold_tasks
from napari_mil.training.fold_runs import fit_fold
from napari_mil.training.network import build, make_plan
from napari_mil.training.store import BagStore
from napari_mil.training.vectorised import fit_together

BAGS, DIM, FOLDS, REPEATS = 92, 166, 10, 5
"""As MUSK1; sizes 2 to 40."""
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
        root, random = Path(temporary), np.random.default_rng(0)
        for b in range(BAGS):
            (root / "ab"[b % 2]).mkdir(exist_ok=True)
            np.save(
                root / "ab"[b % 2] / f"{b}.npy",
                random.normal(size=(int(np.clip(random.gamma(1.2, 4.5), 2, 40)), DIM)).astype(
                    np.float32
                ),
            )
        cohort = scan_annotated_folder(root)
        print("## Folds of a cross-validation\n")
        print(
            f"{FOLDS} folds × {REPEATS} repeats of {BAGS} bags of 2 to 40 instances of {DIM}; two epochs, one thread; logits of both ways compared.\n"
        )
        print(
            "| head | weights | one after another s | together s | ratio | largest difference of logits |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
        for name, options in HEADS:
            config = make_config(
                aggregator=name, aggregator_options=options, epochs=2, device="cpu", threads=1
            ).with_recipe()
            store = BagStore(cohort, config, Settings(), ignore, CancellationToken(), None)
            plan = make_plan(config, store, None, ignore)
            tasks = fold_tasks(store.cohort, config, FOLDS, REPEATS, "honest")
            began = time.perf_counter()
            alone = [
                fit_fold(store, config, plan, None, torch.device("cpu"), task, CancellationToken())
                for task in tasks
            ]
            middle = time.perf_counter()
            together = fit_together(store, config, plan, None, tasks, CancellationToken())
            end = time.perf_counter()
            weights = sum(
                weight.numel() for weight in build(config, plan, store, None, ignore).parameters()
            )
            difference = max(
                float(np.abs(a.test - b.test).max()) for a, b in zip(alone, together, strict=True)
            )
            what = f"`{name}`" + (f", hidden {options['hidden']}" if options else "")
            print(
                f"| {what} | {weights:,} | {middle - began:.1f} | {end - middle:.1f} | {(middle - began) / (end - middle):.1f} | {difference:.0e} |"
            )


if __name__ == "__main__":
    main()
