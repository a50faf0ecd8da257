"""Cost of evidence for an answer beside one answer, exactness beside answering again."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from napari_mil.aggregators import Aggregator, create_aggregator

N = 100_000
WIDTH = 512
ROUNDS = 3
CHECKED = 5
"""Instances whose contribution is computed by answering again."""
METHODS = ("abmil", "gated-abmil", "clam-sb", "clam-mb")


def main() -> None:
    torch.set_num_threads(1)
    print("### What counts, beside one answer\n")
    print(
        f"A bag of {N:,} × {WIDTH}, one thread, CPU time, the least of {ROUNDS} rounds. *All*: "
        "every instance alone, every one left out, deletion and insertion with all steps. "
        "*What-if*: one instance dropped. *Difference*: largest, in logits, to answering again.\n"
    )
    print("| method | one answer, ms | all, ms | share | what-if, ms | × an answer | difference |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    torch.manual_seed(0)
    bag = torch.randn(N, WIDTH)
    for name in METHODS:
        print(row(name, create_aggregator(name, WIDTH, 2).eval(), bag))
    print()


def row(name: str, aggregator: Aggregator, bag: torch.Tensor) -> str:
    """Return the figures of one method as a row of the table."""
    with torch.inference_mode():
        answer = timed(lambda: aggregator(bag))
    # Made in the same pass as the answer.
    extra = timed(lambda: aggregator.weighted_values(bag)) - answer
    values = aggregator.weighted_values(bag)
    assert values is not None
    order = np.random.default_rng(0).permutation(N)
    everything = max(extra, 0.0) + timed(
        lambda: (
            values.alone(),
            values.without_each(),
            values.while_deleting(order),
            values.while_inserting(order),
        )
    )
    one = np.array([7])
    values.without(one)
    repeats = 1000
    what_if = timed(lambda: [values.without(one) for _ in range(repeats)]) / repeats
    without = values.without_each()
    worst = 0.0
    for i in range(CHECKED):
        with torch.inference_mode():
            again = aggregator(torch.cat([bag[:i], bag[i + 1 :]])).logits.numpy()
        worst = max(worst, float(np.abs(without[i] - again).max()))
    return (
        f"| `{name}` | {answer * 1e3:.0f} | {everything * 1e3:.0f} | {everything / answer:.1%} "
        f"| {what_if * 1e3:.3f} | {answer / what_if:,.0f} | {worst:.0e} |"
    )


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work, the least of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
