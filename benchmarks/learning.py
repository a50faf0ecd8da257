"""Benchmark of learning: every method at its default, beside plain baselines and torchmil.

    python -m benchmarks.learning docs/learning.md [--sets NAME…] [--methods NAME…] [--seeds N…]

Each row (set, method, seed) is kept in a file as soon as it is there, so that the benchmark can be
stopped, and run in pieces; `docs/learning.md` is written from what is there. Recipes were chosen on
draws of other seeds (100 and above) than those that are reported (0 to 4).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.draws import CLASSES, DATA, Draw, Outcome, draws, fit_draw
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.aggregators.mining.cards import STRATEGIES
from napari_mil.training.config import make_config
from napari_mil.training.evaluation.metrics import accuracy, auc

CACHE = Path("build") / "learning"
SEEDS = range(5)
PUBLISHED = ("dsmil", "dsmil-released", "instance-max", "hamil")
"""Methods that are shown at their published recipe too."""
PEERS = ("abmil", "gated-abmil", "clam-sb", "dsmil")
"""Methods that torchmil has and trains on bags without padding.

Its TransMIL is left out: at 0.36 CPU-seconds a step, a seed would take three quarters of an hour.
"""
TINY_BAGS = ("MUSK1", "ELEPHANT")
"""Sets with bags of two instances, on which torchmil's CLAM fails."""
PEER_RATE = 1e-4
"""Learning rate of the peer's models; of 1e-4 and 1e-3 the better one on draws 100 and above."""
PEER_EPOCHS = 60
REGULARISATION = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of C that logistic regression is offered, chosen by five folds of the training bags."""
HEADERS = ("bag AUC", "accuracy", "tile AUC")


@dataclass(frozen=True)
class Row:
    """Outcome of one method on one draw."""

    set: str
    method: str
    seed: int
    auc: float
    accuracy: float
    instance_auc: float
    epochs: int
    cpu_s: float


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--sets", nargs="*")
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--rows", type=Path, default=CACHE / "rows.jsonl")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not DATA.is_dir():
        parser.exit(0, f"{DATA} is not there; nothing is measured.\n")
    rows = Rows(arguments.rows)
    for name, draw in draws(CACHE).items():
        if not arguments.sets or name in arguments.sets:
            run_set(name, draw, rows, arguments.methods, arguments.seeds)
    arguments.target.write_text(page(rows.read()), encoding="utf-8")


class Rows:
    """File of finished rows, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Row]:
        """Return the rows that are there."""
        if not self._path.is_file():
            return []
        return [Row(**json.loads(line)) for line in self._path.read_text().splitlines()]

    def add(self, row: Row) -> None:
        """Append a row and print it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        print(
            f"{row.set:18} {row.method:28} {row.seed} {row.auc:.3f} {row.cpu_s:.0f} s", flush=True
        )


def run_set(
    name: str,
    draw_of: Callable[[int], Draw],
    rows: Rows,
    chosen: Sequence[str] | None,
    seeds: Iterable[int],
) -> None:
    """Run the methods that a set still lacks."""
    done = {(row.method, row.seed) for row in rows.read() if row.set == name}
    for seed in seeds:
        missing = {
            method: run
            for method, run in methods(name).items()
            if (method, seed) not in done and (not chosen or method in chosen)
        }
        if not missing:
            continue
        draw = draw_of(seed)
        with tempfile.TemporaryDirectory() as folder:
            for method, run in missing.items():
                began = time.process_time()
                outcome = run(draw, seed, Path(folder) / "bags")
                seconds = time.process_time() - began
                rows.add(Row(name, method, seed, **asdict(outcome), cpu_s=round(seconds, 1)))


Run = Callable[[Draw, int, Path], Outcome]


def methods(name: str) -> dict[str, Run]:
    """Return every method of a set by name, baselines first."""
    fields: dict[str, Any] = {"encoder": "lenet5"} if name == "MNIST bags" else {}
    runs: dict[str, Run] = {}
    if not fields:
        runs |= {f"logistic regression, {kind}": _baseline(kind) for kind in BASELINES}
        peers = [peer for peer in PEERS if name not in TINY_BAGS or peer != "clam-sb"]
        runs |= {f"torchmil {peer}": _peer(peer) for peer in peers}
    for aggregator in AGGREGATORS:
        runs[aggregator] = _ours(aggregator=aggregator, **fields)
    for strategy in STRATEGIES:
        runs[f"gated-abmil, {strategy}"] = _ours(
            aggregator="gated-abmil", strategy=strategy, **fields
        )
    for base in ("abmil", "dsmil", "dsmil-released", "transmil"):
        runs[f"{base}, r-ham"] = _ours(aggregator=base, strategy="r-ham", **fields)
    for aggregator in PUBLISHED:
        runs[f"{aggregator}, published recipe"] = _ours(
            aggregator=aggregator, recipe="published", **fields
        )
    return runs


def _ours(**fields: Any) -> Run:
    def run(draw: Draw, seed: int, folder: Path) -> Outcome:
        return fit_draw(draw, make_config(seed=seed, device="cpu", threads=1, **fields), folder)

    return run


BASELINES = ("mean", "maximum", "single instances")
"""What a logistic regression is trained on."""


def _baseline(kind: str) -> Run:
    """Return a logistic regression on the mean, the maximum or every instance of a bag."""

    def run(draw: Draw, seed: int, folder: Path) -> Outcome:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        grid = {"logisticregression__C": REGULARISATION}
        model = GridSearchCV(classifier, grid, scoring="roc_auc")
        if kind == "single instances":
            return _single_instances(draw, model)
        pool = np.mean if kind == "mean" else np.max
        pooled = np.stack([pool(bag, axis=0) for bag in draw.bags])
        training = ~draw.tests
        model.fit(pooled[training], draw.labels[training])
        scores = model.decision_function(pooled[draw.tests])
        labels = draw.labels[draw.tests]
        return Outcome(auc(labels, scores), accuracy(labels, scores), float("nan"), 0)

    return run


def _single_instances(draw: Draw, model: Any) -> Outcome:
    """Train on instances with the labels of their bags; a bag has the score of its best one.

    The threshold is the median of the training bags, since most instances of positive bags are
    negative.
    """
    training = np.flatnonzero(~draw.tests)
    instances = np.concatenate([draw.bags[b] for b in training])
    labels = np.concatenate([np.full(len(draw.bags[b]), draw.labels[b]) for b in training])
    model.fit(instances, labels)
    scores = [model.decision_function(bag) for bag in draw.bags]
    best = np.array([score.max() for score in scores])
    cut = np.median(best[training])
    held_out = np.flatnonzero(draw.tests)
    areas = [
        auc(draw.witnesses[b], scores[b]) for b in held_out if draw.witnesses and draw.labels[b]
    ]
    truth = draw.labels[held_out]
    return Outcome(
        auc(truth, best[held_out]),
        accuracy(truth, best[held_out] - cut),
        float(np.mean(areas)) if areas else float("nan"),
        0,
    )


def _peer(name: str) -> Run:
    """Return a model of torchmil, trained with Adam to the epoch of least validation loss."""

    def run(draw: Draw, seed: int, folder: Path) -> Outcome:
        return _fit_peer(draw, seed, name)

    return run


def make_peer(name: str, dim: int) -> Any:
    """Make torchmil's model of a method at its defaults."""
    from torchmil import models

    makers: dict[str, Callable[[], Any]] = {
        "abmil": lambda: models.ABMIL((dim,)),
        "gated-abmil": lambda: models.ABMIL((dim,), gated=True),
        "clam-sb": lambda: models.CLAM_SB((dim,)),
        "dsmil": lambda: models.DSMIL((dim,)),
    }
    return makers[name]()


def _fit_peer(draw: Draw, seed: int, name: str) -> Outcome:
    """Train a model of torchmil on the training bags that ours train on."""
    training, validation = _split_like_ours(draw, seed)
    instances = np.concatenate([draw.bags[b] for b in training])
    mean, scale = instances.mean(0), instances.std(0)
    scale[scale < 1e-6] = 1
    bags = [torch.from_numpy((bag - mean) / scale).float()[None] for bag in draw.bags]
    torch.manual_seed(seed)
    model = make_peer(name, bags[0].shape[2])
    optimiser = torch.optim.Adam(model.parameters(), PEER_RATE)
    random = np.random.default_rng(seed)
    best, kept = np.inf, np.empty(0)
    for _ in range(PEER_EPOCHS):
        model.train()
        for b in random.permutation(training):
            optimiser.zero_grad()
            _, terms = model.compute_loss(torch.tensor([float(draw.labels[b])]), bags[b])
            torch.stack([term.reshape(()) for term in terms.values()]).sum().backward()
            optimiser.step()
        answers = _peer_logits(model, bags)
        truth = draw.labels[validation]
        loss = float(np.mean(np.logaddexp(0, answers[validation]) - truth * answers[validation]))
        if loss < best:
            best, kept = loss, answers
    held_out = np.flatnonzero(draw.tests)
    labels = draw.labels[held_out]
    return Outcome(
        auc(labels, kept[held_out]), accuracy(labels, kept[held_out]), float("nan"), PEER_EPOCHS
    )


@torch.no_grad()
def _peer_logits(model: Any, bags: Sequence[torch.Tensor]) -> np.ndarray:
    model.eval()
    return np.array([float(model(bag).reshape(-1)[0]) for bag in bags])


def _split_like_ours(draw: Draw, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and validation bags; a fifth of each class validates."""
    random = np.random.default_rng(seed)
    validation: list[int] = []
    for c in range(len(CLASSES)):
        members = random.permutation(np.flatnonzero(~draw.tests & (draw.labels == c)))
        validation += [int(b) for b in members[: len(members) // 5]]
    aside = np.array(sorted(validation))
    return np.setdiff1d(np.flatnonzero(~draw.tests), aside), aside


def page(rows: Sequence[Row]) -> str:
    """Return the page of all rows."""
    parts = [HEAD + _cost(rows)]
    for name, text in SETS.items():
        of_set = [row for row in rows if row.set == name]
        if of_set:
            parts.append(f"## {name}\n\n{text}\n\n{table(name, of_set)}\n")
    return "\n".join(parts)


def _cost(rows: Sequence[Row]) -> str:
    """Say what the rows took: all of them, and one seed of the quickest set."""
    hours = sum(row.cpu_s for row in rows) / 3600
    quick = sum(row.cpu_s for row in rows if row.set == "MUSK1" and row.seed == 0) / 60
    return (
        f"- All rows together took {hours:.1f} hours of a CPU. `--sets MUSK1 --seeds 0` takes "
        f"{quick:.0f} minutes.\n"
    )


def table(name: str, rows: Sequence[Row]) -> str:
    """Return the table of one set: means over seeds, their spread, and the worst seed."""
    lines = [
        "| method | seeds | bag AUC ± SD | worst seed | accuracy | tile AUC | epochs | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for method in methods(name):
        some = [row for row in rows if row.method == method]
        if not some:
            continue
        areas = [row.auc for row in some]
        spread = f" ± {np.std(areas, ddof=1):.3f}" if len(areas) > 1 else ""
        tiles = [row.instance_auc for row in some if not np.isnan(row.instance_auc)]
        tile = f"{np.mean(tiles):.2f}" if tiles else "–"
        lines.append(
            f"| {_title(method)} | {len(some)} | {np.mean(areas):.3f}{spread} "
            f"| {min(areas):.2f} | {np.mean([row.accuracy for row in some]):.2f} | {tile} "
            f"| {np.mean([row.epochs for row in some]):.0f} "
            f"| {np.mean([row.cpu_s for row in some]):.0f} |"
        )
    return "\n".join(lines)


def _title(method: str) -> str:
    is_ours = method.split(",")[0] in AGGREGATORS
    return f"`{method}`" if is_ours else method


SETS = {
    "nuclei, 2-6 of 50": "Bags of 50 nuclei of the colon images, embedded by the default encoder "
    "(squares of 64 px); a positive bag holds 2 to 6 epithelial nuclei, a negative one none. 120 "
    "bags to train on (24 of them validate), 200 held out, from other images.",
    "nuclei, 5 of 500": "The same with bags of 500 and exactly 5 epithelial nuclei, 1 %. 120 bags "
    "to train on, 100 held out, from other images.",
    "MUSK1": "92 bags of 2 to 40 conformations, 166 features; a third is held out, evenly drawn.",
    "ELEPHANT": "200 bags of 2 to 13 segments, 230 features; a third is held out, evenly drawn.",
    "MNIST bags": "Bags of 10 ± 2 digits; positive with a 9. LeNet-5 is trained together with the "
    "aggregator on 100 bags (20 of them validate); 200 bags of other digits are held out.",
}
HEAD = """# Does it learn?

Made by `make learning`. Every aggregator and mining strategy is trained at its **default** (no
option given but the seed) by the code that `napari-mil train` runs, on bags whose positive
instances are known, beside logistic regression and beside torchmil 1.0.2 where it has the method.

- Five seeds, of which a table says how many were run: each draws its own bags, images and weights;
  all methods of a seed see the same bags.
- Recipes were chosen on draws of seeds 100 and above; seeds 0 to 4 had no say in them. The step of
  `instance-max` was also chosen by [another page](mil_assumption.md), on that page's draws.
- *Bag AUC* is on held-out bags, with the standard deviation over seeds; *accuracy* is at the
  threshold that the run chose on its validation bags; *tile AUC* is that of the overlay within
  positive held-out bags.
- Accuracy trails the AUC of the nuclei: a bag mixes nuclei of all images of its half, so that an
  unusual image shifts the logits of every held-out bag alike, which no bag of the training half
  tells (medians of negative bags: -3.0 where the threshold is chosen, 0.9 held out, for `abmil` at
  seed 0; validation bags from images of their own did not mend it).
- Logistic regression takes the mean or the maximum over a bag, or every instance with the label of
  its bag (a bag is then as positive as its best instance); its regularisation is chosen within the
  training bags.
- torchmil: its models at their defaults, the same standardised features, Adam, 60 epochs, the epoch
  of least validation loss. Its TransMIL is left out, since a seed would take three quarters of an
  hour, and its CLAM on sets with bags of two instances, where it fails.
- With 1 % of positive instances, 96 training bags do not always suffice. `clam-sb` learns on every
  seed (bag AUC 0.65 to 0.87), as does `abmil, r-ham` (0.67 to 0.91), `dtfd` and
  `gated-abmil, r-ham` on four of five, `abmil`, `gated-abmil` and `dsmil-released` on two or three;
  logistic regression reaches 0.70 on one. `transmil` and `gnn-mil` do not learn there.
- `instance-max`, `deepmiml` and, on most seeds, `dsmil`, which a highest instance leads, do not
  learn there: from three different starts on draw 100, `instance-max` had 0.67 to 0.90 on
  validation bags and 0.38 to 0.48 on those held out: what it finds is in the training images alone.
  A smaller or larger step, a longer warm-up, log-sum-exp in its place and eight bags a step each
  helped on some draws and harmed on others. CLAM's recipe for `gated-abmil` changed nothing beyond
  the spread of draws 100 and 101 (0.75 and 0.79; default 0.73 and 0.83).
- On digits a network that starts fresh learns too, and the default step is 2e-4 at most: at 1e-3
  units of it died on many draws, and every bag got the same answer. `transmil` teaches the network
  by a warm-up of 30 epochs first (without it, seeds 0 and 1 had 0.67 and 0.47); its overlay does
  not find the digits all the same. `hamil` fails on one seed of five.
- `…, published recipe` is `--set recipe=published`: the values of the method's paper or code.
- Seconds are of a CPU; a table's rows were measured up to two at a time on two shared cores.
"""

if __name__ == "__main__":
    main()
