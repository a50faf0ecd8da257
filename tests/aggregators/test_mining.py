"""Masked hard-instance mining: counts, guards, teacher and student."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mil.aggregators import create_aggregator, create_miner
from napari_mil.aggregators.mining import STRATEGIES, MaskRatios, mask_instances
from napari_mil.errors import CheckpointError, OptionError, UnknownNameError

BASES = ["abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil"]
OPTIONS = {
    "transmil": {"hidden": 32, "landmarks": 8},
    "abmil": {"hidden": 16},
    "gated-abmil": {"hidden": 16},
}


def base(name="abmil", n_classes=2):
    torch.manual_seed(0)
    return create_aggregator(name, 12, n_classes, **OPTIONS.get(name, {}))


def bag_of(n, seed=0):
    return torch.randn(n, 12, generator=torch.Generator().manual_seed(seed))


shares = st.sampled_from([0.0, 0.01, 0.07, 0.2, 0.5, 0.8])


@settings(max_examples=150)
@given(
    n=st.integers(2, 120),
    heads=st.integers(1, 4),
    high=shares,
    low=shares,
    random=shares,
    drawn=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_each_part_has_its_count_of_all_instances_and_something_stays(
    n, heads, high, low, random, drawn, seed
):
    scores = torch.randn(n, heads, generator=torch.Generator().manual_seed(seed)).softmax(0)
    masks = mask_instances(
        scores, MaskRatios(high, low, random, drawn), generator=torch.Generator().manual_seed(seed)
    )
    assert set(masks) == {
        kind for kind, share in {"high": high, "low": low, "random": random}.items() if share
    }
    if not masks:
        return
    kept = ~torch.stack(list(masks.values())).any(0)
    assert kept.sum() >= 1
    if kept.sum() > 1:  # no guard was needed
        for kind, share in {"low": low, "random": random}.items():
            assert not share or masks[kind].sum() == math.ceil(n * share)
        if high:
            pool = math.ceil(n * min(1.0, high / drawn))
            assert masks["high"].sum() == (
                math.ceil(n * high) if drawn == 1 or high > drawn else math.ceil(pool * drawn)
            )


@settings(max_examples=60)
@given(n=st.integers(3, 60), min_keep=st.integers(1, 5), seed=st.integers(0, 99))
def test_what_stays_at_least_is_released_random_first_then_low_then_high(n, min_keep, seed):
    scores = torch.randn(n, 1, generator=torch.Generator().manual_seed(seed))
    masks = mask_instances(
        scores,
        MaskRatios(0.5, 0.6, 0.3),
        min_keep=min_keep,
        generator=torch.Generator().manual_seed(seed),
    )
    kept = ~torch.stack(list(masks.values())).any(0)
    assert kept.sum() >= min(min_keep, n)
    # The highest is masked as long as there is anything else to release.
    assert masks["high"][scores.argmax()] == (min_keep < n)


def test_bags_of_one_and_scores_that_are_no_numbers_mask_nothing():
    everything = MaskRatios(0.5, 0.5, 0.5)
    assert not any(mask.any() for mask in mask_instances(torch.ones(1, 1), everything).values())
    assert not any(
        mask.any() for mask in mask_instances(torch.full((9, 2), torch.nan), everything).values()
    )
    assert mask_instances(torch.ones(9, 1), MaskRatios()) == {}


def test_ties_in_the_vote_go_to_the_higher_mean_then_to_the_lower_index():
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8], [0.5, 0.5], [0.5, 0.5]])
    masks = mask_instances(
        scores, MaskRatios(high=0.25)
    )  # each head marks its best one; two instances with a vote each
    assert masks["high"].tolist() == [True, False, False, False]
    equal = mask_instances(torch.full((4, 1), 0.25), MaskRatios(high=0.5))
    assert equal["high"].tolist() == [True, True, False, False]


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_the_student_learns_from_what_is_not_masked(strategy, name, n):
    miner, bag = create_miner(strategy, base(name)).train(), bag_of(n)
    output = miner(bag, torch.tensor(1))
    assert set(output.masks) == set(STRATEGIES[strategy].kinds)
    hidden = torch.stack(list(output.masks.values())).any(0)
    assert not hidden.all()
    assert len(hidden) == n
    if output.attention is not None:
        assert (output.attention[hidden] == 0).all()
        assert torch.allclose(
            output.attention.sum(0), torch.ones(output.attention.shape[1]), atol=1e-5
        )
    if output.instance_logits is not None:
        assert output.instance_logits[hidden].isnan().all()
        assert output.instance_logits[~hidden].isfinite().all()
        assert not hidden[output.critical].any()
    assert len(output.scores) == n
    assert output.losses["consistency"] > 0
    output.loss.backward()
    assert all(weight.grad is None for weight in miner.teacher.parameters())
    assert any(weight.grad is not None for weight in miner.student.parameters())


@pytest.mark.parametrize("name", BASES)
def test_in_evaluation_it_is_its_student_on_the_whole_bag(name):
    miner, bag = create_miner("lr-ham", base(name)).eval(), bag_of(40)
    output = miner(bag)
    assert torch.equal(output.logits, miner.student(bag).logits)
    assert output.masks == {}


def test_masks_of_a_bag_can_be_shown_without_training():
    miner = create_miner("lr-ham", base("dsmil"), high=0.1, low=0.2, random=0.3).eval()
    masks = miner.masks(bag_of(50))
    assert {kind: int(mask.sum()) for kind, mask in masks.items()} == {
        "high": 5,
        "low": 10,
        "random": 15,
    }


def test_the_share_of_high_instances_falls_and_momentum_rises_by_a_cosine():
    miner = create_miner("ham", base(), high=0.2, momentum=0.99, momentum_rises=True)
    seen = []
    for step in range(10):
        miner.advance(step, 10)
        seen.append((miner.current_ratios().high, miner.current_momentum()))
    high, momentum = zip(*seen, strict=True)
    assert high[0] == 0.2
    assert list(high) == sorted(high, reverse=True)
    assert high[5] == pytest.approx(0.1)
    assert high[-1] > 0
    assert momentum[0] == 0.99
    assert list(momentum) == sorted(momentum)
    assert momentum[-1] < 1


def test_the_teacher_follows_the_student_slowly_and_copies_its_running_statistics():
    miner = create_miner("ham", base(), momentum=0.9).train()
    with torch.no_grad():
        for weight in miner.student.parameters():
            weight.add_(1.0)
    before = [weight.clone() for weight in miner.teacher.parameters()]
    miner.update_teacher()
    for ours, theirs in zip(miner.teacher.parameters(), before, strict=True):
        assert torch.allclose(ours, theirs + 0.1, atol=1e-6)


def test_a_trained_base_initialises_the_teacher_and_the_students_projection():
    trained, miner = base(), create_miner("ham", base())
    with torch.no_grad():
        for weight in trained.parameters():
            weight.fill_(0.5)
    miner.initialise(trained.state_dict())
    assert all((weight == 0.5).all() for weight in miner.teacher.parameters())
    assert (miner.student.projection[0].weight == 0.5).all()
    assert not (miner.student.classifier.weight == 0.5).all()
    with pytest.raises(CheckpointError, match="does not fit"):
        miner.initialise({"foreign": torch.zeros(1)}, "all")
    with pytest.raises(OptionError, match="no projection"):
        create_miner("ham", base("dsmil")).initialise(base("dsmil").state_dict())


def test_the_teachers_dropout_is_off_unless_wanted():
    student = create_aggregator("abmil", 12, 2, dropout=0.25)
    assert not create_miner("ham", student).train().teacher.training
    assert create_miner("ham", student, teacher_dropout=True).train().teacher.training


def test_class_aware_scores_rank_instances_by_what_they_say_for_their_class():
    miner = create_miner("ham", base(), rank_by="class", high=0.1).train()
    scores, _ = miner.rank(bag_of(30))
    assert scores.shape == (30, 1)
    assert (scores >= 0.5).all()
    with pytest.raises(OptionError, match="attention"):
        create_miner("ham", base("dsmil"), rank_by="class")


def test_wrong_strategies_bases_and_ratios_are_named():
    with pytest.raises(UnknownNameError, match="'hamm'"):
        create_miner("hamm", base())
    with pytest.raises(UnknownNameError, match="HAMIL"):
        create_miner("ham", create_aggregator("hamil", 12, 2))
    with pytest.raises(OptionError, match="leave out low"):
        create_miner("ham", base(), low=0.3)
    for wrong in ({"high": 1.0}, {"high": -0.1}, {"drawn": 0.0}, {"colour": 1}):
        with pytest.raises(OptionError):
            create_miner("ham", base(), **wrong)
