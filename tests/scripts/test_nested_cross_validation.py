from dataclasses import replace

import numpy as np
import torch

from napari_mil.training.evaluation.metrics import auc
from scripts.head_fitting import FitSettings
from scripts.nested_cross_validation import (
    Candidate,
    choose_candidate,
    fit_head,
    nested_cross_validation,
)

QUICK = FitSettings(epochs=40, learning_rate=3e-3)


def cohort(signal, n=40, seed=0):
    """Return bags in which a third of the instances of positive bags is shifted."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    bags = []
    for label in labels:
        bag = random.normal(0, 1, (random.integers(5, 20), 6)).astype(np.float32)
        bag[: len(bag) // 3, 0] += signal * label
        # Scaled and shifted: the bags of a cohort are not standardised.
        bags.append(bag * 50 + 300)
    return bags, labels, [f"patient {k // 2}" for k in range(n)]


def candidate(bags, name="gated", **options):
    return Candidate(name, bags, "gated-abmil", {"hidden": 16, **options}, QUICK)


def test_a_signal_is_found_and_noise_is_not():
    bags, labels, groups = cohort(signal=4.0)
    out = nested_cross_validation([candidate(bags)], labels, groups, folds=4, repeats=2)
    assert np.mean([auc(labels, row) for row in out.logits]) > 0.85
    bags, labels, groups = cohort(signal=0.0, n=60)
    out = nested_cross_validation([candidate(bags)], labels, groups, folds=4, repeats=2)
    assert 0.25 < np.mean([auc(labels, row) for row in out.logits]) < 0.75


def test_choosing_among_noisy_candidates_does_not_lift_the_figure():
    """The best of many random candidates looks good only on the fold it was chosen on."""
    _, labels, groups = cohort(0.0, n=40)
    candidates = [candidate(cohort(0.0, n=40, seed=seed)[0], f"noise {seed}") for seed in range(4)]
    out = nested_cross_validation(candidates, labels, groups, folds=4, inner_folds=2, repeats=2)
    assert np.mean([auc(labels, row) for row in out.logits]) < 0.75
    assert len(out.chosen) == 8


def test_the_inner_folds_choose_the_better_candidate():
    bags, labels, groups = cohort(signal=4.0)
    useless = [np.random.default_rng(9).normal(size=bag.shape).astype(np.float32) for bag in bags]
    chosen = choose_candidate(
        [candidate(useless, "useless"), candidate(bags, "useful")],
        labels,
        groups,
        np.arange(len(bags)),
        3,
        seed=0,
    )
    assert chosen.name == "useful"


def test_instance_logits_come_from_the_fold_that_never_saw_the_bag():
    bags, labels, groups = cohort(signal=4.0)
    out = nested_cross_validation(
        [replace(candidate(bags), aggregator="dsmil", options={"stream_losses": True})],
        labels,
        groups,
        folds=4,
        repeats=1,
    )
    assert [len(scores) for scores in out.instance_logits[0]] == [len(bag) for bag in bags]


def test_training_is_repeatable_to_the_bit():
    bags, labels, _ = cohort(signal=1.0, n=10)
    first, second = (fit_head(candidate(bags), labels, np.arange(10), seed=3) for _ in range(2))
    other = fit_head(candidate(bags), labels, np.arange(10), seed=4)
    for key, tensor in first.aggregator.state_dict().items():
        assert torch.equal(tensor, second.aggregator.state_dict()[key])
    assert any(
        not torch.equal(tensor, other.aggregator.state_dict()[key])
        for key, tensor in first.aggregator.state_dict().items()
    )
