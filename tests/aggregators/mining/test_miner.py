"""Miners: a teacher that masks and a student that learns."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator, create_miner
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.mining import STRATEGIES
from napari_mil.errors import CheckpointError, OptionError, UnknownNameError
from napari_mil.networks import ResNet18

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


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_the_student_learns_from_what_is_not_masked(strategy, name, n):
    miner = create_miner(strategy, base(name)).train()
    bag = bag_of(n)
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
    miner = create_miner("lr-ham", base(name)).eval()
    bag = bag_of(40)
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
    for weight, old in zip(miner.teacher.parameters(), before, strict=True):
        assert torch.allclose(weight, old + 0.1, atol=1e-6)


def test_a_trained_base_initialises_the_teacher_and_the_students_projection():
    trained = base()
    miner = create_miner("ham", base())
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


@pytest.mark.parametrize(
    "options",
    [{"fusion": "foo"}, {"rank_by": "foo"}, {"tau": 0.0}, {"min_keep": 0}, {"momentum": 2.0}],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError):
        create_miner("ham", create_aggregator("abmil", 8, 2), **options)


@pytest.mark.parametrize("name", ["abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil"])
def test_a_teacher_with_its_dropout_on_can_rank(name):
    small = {"hidden": 32, "landmarks": 8} if name == "transmil" else {}
    miner = create_miner(
        "ham", create_aggregator(name, 12, 2, **small), teacher_dropout=True
    ).train()
    assert miner(torch.randn(30, 12), torch.tensor(1)).masks["high"].any()


def test_after_the_last_step_nothing_is_masked_any_more_but_the_kind_is_still_told():
    miner = create_miner("ham", create_aggregator("abmil", 8, 2), high=0.2).train()
    for step in (10, 20):
        miner.advance(step, 10)
        assert miner.current_ratios().high == 0
        masks = miner(torch.randn(30, 8), torch.tensor(0)).masks
        assert list(masks) == ["high"]
        assert not masks["high"].any()


def test_in_evaluation_a_miner_packs_and_reads_16_bits_as_its_student():
    student = create_aggregator("dsmil-released", 12, 2).eval()
    miner = create_miner("r-ham", student).eval()
    bag = torch.randn(9, 12)
    offsets = torch.tensor([0, 4, 9])
    assert torch.equal(
        miner.forward_packed(bag, offsets).critical, student.forward_packed(bag, offsets).critical
    )
    assert torch.equal(miner(bag.bfloat16()).logits, student(bag.bfloat16()).logits)


def test_the_teacher_copies_running_statistics():
    base = EndToEnd(ResNet18(), create_aggregator("abmil", 512, 2, hidden=None))
    miner = create_miner("ham", base).train()
    miner(torch.rand(4, 3, 32, 32), torch.tensor(1))
    assert not torch.equal(
        miner.teacher.backbone.bn1.running_mean, miner.student.backbone.bn1.running_mean
    )
    miner.update_teacher()
    assert torch.equal(
        miner.teacher.backbone.bn1.running_mean, miner.student.backbone.bn1.running_mean
    )
