"""Unit tests of the multiple-instance assumption, after Raff & Holt 2023.

"Reproducibility in multiple instance learning: a case for algorithmic unit tests", NeurIPS. A bag
is positive when it holds a positive instance, whatever else is in it: nothing else is evidence
against that. Each test draws training bags in which something else goes along with the label, and
held-out bags in which it goes against it. A method that respects the assumption has an AUC near 1
there, one that learnt the shortcut has one below 1/2. The draws are our own, in the spirit of the
paper.

    python -m benchmarks.mil_assumption docs/mil_assumption.md
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.draws import Draw, fit_draw
from benchmarks.learning import CACHE, Row, Rows
from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.training.config import make_config

DIM = 16
SIZE = 20
BAGS = (60, 60)
"""Training bags and held-out bags."""
SEEDS = range(2)
PASSED = 0.75
"""Mean AUC from which a test is passed."""
FAILED = 0.5
"""Mean AUC below which the shortcut was learnt."""


def background(random: np.random.Generator, n: int) -> np.ndarray:
    """Draw instances that say nothing: (n, DIM)."""
    return random.normal(size=(n, DIM)).astype(np.float32)


def concept(random: np.random.Generator, n: int) -> np.ndarray:
    """Draw positive instances, shifted along two dimensions: (n, DIM)."""
    instances = background(random, n)
    instances[:, :2] += 3.0
    return instances


def kind(random: np.random.Generator, n: int) -> np.ndarray:
    """Draw instances of a conspicuous kind that is no concept, all nearly alike: (n, DIM).

    They are so alike that the largest of eight says no more than the largest of two.
    """
    instances = 0.1 * background(random, n)
    instances[:, 2:4] += 6.0
    return instances


def anti_correlated(random: np.random.Generator, positive: bool, held_out: bool) -> np.ndarray:
    """Draw a bag where a conspicuous instance goes along with negative bags.

    In training every negative bag has it and no positive one; held-out bags all have it.
    """
    parts = [concept(random, 1)] if positive else []
    if held_out or not positive:
        parts.append(kind(random, 1))
    return _fill(random, parts)


def false_frequency(random: np.random.Generator, positive: bool, held_out: bool) -> np.ndarray:
    """Draw a bag where positive bags hold more of a kind that negative bags hold too.

    In training positive bags have 8 of it and negative ones 2; held-out bags the other way round.
    """
    parts = [concept(random, 1)] if positive else []
    parts.append(kind(random, 8 if positive != held_out else 2))
    return _fill(random, parts)


def more_of_it(random: np.random.Generator, positive: bool, held_out: bool) -> np.ndarray:
    """Draw a bag where training bags hold many positive instances, held-out bags a single one.

    Held-out bags are three times as large, so that a mean is diluted.
    """
    n = 1 if held_out else 6
    parts = [concept(random, n)] if positive else []
    return _fill(random, parts, 3 * SIZE if held_out else SIZE)


def _fill(random: np.random.Generator, parts: Sequence[np.ndarray], size: int = SIZE) -> np.ndarray:
    """Fill a bag up with background, in random order."""
    present = sum(map(len, parts))
    bag = np.concatenate([*parts, background(random, size - present)])
    return bag[random.permutation(len(bag))]


TESTS: Mapping[str, Callable[[np.random.Generator, bool, bool], np.ndarray]] = {
    "anti-correlated": anti_correlated,
    "false frequency": false_frequency,
    "single witness": more_of_it,
}
"""Function that draws one bag of each test."""


def draw_test(name: str, seed: int) -> Draw:
    """Draw the bags of a test."""
    random = np.random.default_rng(seed)
    bags, labels, tests = [], [], []
    for held_out, n in zip((False, True), BAGS, strict=True):
        for b in range(n):
            bags.append(TESTS[name](random, b % 2 == 1, held_out))
            labels.append(b % 2)
            tests.append(held_out)
    return Draw(tuple(bags), np.array(labels), np.array(tests))


def judge(aggregator: str, test: str, seed: int) -> float:
    """Train a method at its default; return its AUC on the held-out bags of a test."""
    config = make_config(aggregator=aggregator, seed=seed, device="cpu", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        return fit_draw(draw_test(test, seed), config, Path(folder) / "bags").auc


def verdict(area: float) -> str:
    """Say in a word what a mean AUC means."""
    if area >= PASSED:
        return "respects it"
    return "violates it" if area < FAILED else "neither"


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--rows", type=Path, default=CACHE / "mil_assumption.jsonl")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(arguments.rows)
    done = {(row.set, row.method, row.seed) for row in rows.read()}
    for seed in SEEDS:
        for aggregator in AGGREGATORS:
            for test in TESTS:
                if (test, aggregator, seed) not in done:
                    area = judge(aggregator, test, seed)
                    rows.add(Row(test, aggregator, seed, area, np.nan, np.nan, 0, 0.0))
    arguments.target.write_text(page(rows.read()), encoding="utf-8")


def page(rows: Sequence[Row]) -> str:
    """Return the page: a table of the tests, then two sentences on each method."""
    lines = [HEAD, f"| aggregator | {' | '.join(TESTS)} | in one word |", "| --- " * 5 + "|"]
    notes = []
    for aggregator in AGGREGATORS:
        areas = {
            test: float(
                np.mean([row.auc for row in rows if (row.set, row.method) == (test, aggregator)])
            )
            for test in TESTS
        }
        worst = min(areas.values())
        figures = " | ".join(f"{area:.2f}" for area in areas.values())
        lines.append(f"| `{aggregator}` | {figures} | {verdict(worst)} |")
        notes.append(f"- `{aggregator}`: {SENTENCES[aggregator]}")
    return "\n".join([*lines, "", *notes, ""])


HEAD = f"""# Which methods respect the multiple-instance assumption?

Made by `python -m benchmarks.mil_assumption docs/mil_assumption.md`. A bag is positive when it
holds a positive instance, whatever else it holds. Raff & Holt (NeurIPS 2023) showed that many
published methods do not keep to that, and proposed tests like those of software; these are ours in
their spirit. Each trains on bags in which something else goes along with the label, and judges on
bags in which it goes against it (mean AUC over {len(SEEDS)} draws, defaults, 60 bags of 20
instances):

- **anti-correlated**: in training every negative bag holds one conspicuous instance and no positive
  bag does; held-out bags all hold it.
- **false frequency**: positive training bags hold 8 of a conspicuous kind and negative ones 2;
  held-out bags the other way round.
- **single witness**: positive training bags hold 6 positive instances; held-out bags, three times
  as large, a single one.

From {PASSED} on a test is passed, below {FAILED} the shortcut was learnt. A method that fails may
still be the better one where the assumption does not hold, as when the amount of tumour matters.
"""
ATTENDS = (
    "Attention weighs embeddings, and a linear classifier reads their weighted mean. An instance "
    "can speak against the class, and the weights depend on what else is in the bag, so that "
    "nothing in the method holds it to the assumption."
)
AVERAGES = (
    "Every instance weighs alike. A single witness is diluted by the size of its bag, and how much "
    "there is of anything counts."
)
TAKES_THE_MAXIMUM = (
    "The answer is that of the highest instance. Nothing else in the bag can take it back, which "
    "is the assumption itself."
)
TAKES_LARGEST_UNITS = (
    "Each unit takes its maximum over the bag by itself. A conspicuous instance fills units that "
    "speak against the class, and no count gets through."
)
MERGES = (
    "Instances are merged pair by pair and the last embedding is classified. What merges late "
    "keeps its weight, whatever it is, so that nothing in the method holds it to the assumption."
)
SENTENCES: Mapping[str, str] = {
    "instance-max": TAKES_THE_MAXIMUM,
    "instance-mean": AVERAGES,
    "embedding-max": TAKES_LARGEST_UNITS,
    "embedding-mean": AVERAGES,
    "mi-net-instance": TAKES_THE_MAXIMUM,
    "mi-net": TAKES_LARGEST_UNITS,
    "mi-net-ds": TAKES_LARGEST_UNITS,
    "mi-net-rc": TAKES_LARGEST_UNITS,
    "abmil": ATTENDS,
    "gated-abmil": ATTENDS,
    "sa-abmil": ATTENDS,
    "dsmil": "One stream takes the highest instance, the other attends to what resembles it. Half "
    "of the answer keeps to the assumption, the other half does not.",
    "dsmil-released": "The highest instance chooses what is attended to, and the attended mean "
    "alone answers. Everything that resembles it speaks, and may speak against the class.",
    "hamil": MERGES,
    "hamil-mean": MERGES,
    "ramil": MERGES,
    "mvcnn": TAKES_LARGEST_UNITS,
    "spoc": AVERAGES,
    "nan": ATTENDS,
    "deepmiml": TAKES_THE_MAXIMUM,
    "single-instance": "Every instance learns the label of its bag, and the answers are averaged. "
    "The share of instances that look positive counts, not whether there is one.",
    "gnn-mil": "Instances exchange what they say along a graph of their likeness and are pooled to "
    "clusters. Nothing holds it to the assumption.",
    "clam-sb": ATTENDS,
    "clam-mb": ATTENDS,
    "transmil": "Instances attend to each other and a token of the class reads the result. Order "
    "and company of an instance count, so that nothing holds it to the assumption.",
    "dtfd": "Attention answers for parts of the bag, and again for what the parts distil. A "
    "witness has to win in one part only, but in it the same holds as of attention.",
}
"""Two sentences on each method: how it pools, and what that means."""

if __name__ == "__main__":
    main()
