"""What every aggregator owes, whatever its equations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from napari_mil.aggregators import create_aggregator, list_aggregators
from napari_mil.errors import UnknownNameError

NAMES = sorted(list_aggregators())
every_aggregator = pytest.mark.parametrize("name", NAMES)
sizes = st.integers(1, 40)


def make(name, n_classes=3, in_dim=12, **options):
    torch.manual_seed(0)
    return create_aggregator(name, in_dim, n_classes, **options).eval()


def bag_of(n, seed=0, in_dim=12):
    return torch.randn(n, in_dim, generator=torch.Generator().manual_seed(seed))


@every_aggregator
@settings(max_examples=30, deadline=None)
@given(n=sizes, seed=st.integers(0, 1000))
def test_the_order_of_instances_does_not_matter(name, n, seed):
    aggregator, bag = make(name), bag_of(n, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        straight, shuffled = aggregator(bag), aggregator(bag[order])
    assert torch.allclose(shuffled.logits, straight.logits, atol=1e-5)
    assert torch.allclose(shuffled.attention, straight.attention[order], atol=1e-5)


@every_aggregator
@settings(max_examples=20, deadline=None)
@given(n=sizes, scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_attention_sums_to_one_and_nothing_overflows(name, n, scale):
    with torch.no_grad():
        output = make(name)(bag_of(n) * scale)
    assert torch.allclose(output.attention.sum(0), torch.ones(output.attention.shape[1]), atol=1e-5)
    assert torch.isfinite(output.logits).all()


@every_aggregator
@pytest.mark.parametrize("n_classes", [1, 2, 4])
def test_shapes_follow_the_contract(name, n_classes):
    output = make(name, n_classes)(bag_of(7))
    assert output.logits.shape == (n_classes,)
    assert output.attention.shape[0] == output.scores.shape[0] == 7
    assert output.instance_logits is None or output.instance_logits.shape == (7, n_classes)
    assert output.critical is None or output.critical.shape == (n_classes,)


@every_aggregator
def test_equal_instances_get_equal_attention(name):
    bag = bag_of(6)
    bag[4] = bag[1]
    attention = make(name)(bag).attention
    assert torch.allclose(attention[4], attention[1])


@every_aggregator
def test_float64_agrees_with_float32(name):
    aggregator, bag = make(name), bag_of(20)
    with torch.no_grad():
        single = aggregator(bag).logits
        double = aggregator.double()(bag.double()).logits
    assert torch.allclose(single.double(), double, atol=1e-5)


@every_aggregator
def test_weights_survive_safetensors(name):
    aggregator, again = make(name), create_aggregator(name, 12, 3).eval()
    again.load_state_dict(load(save(aggregator.state_dict())))
    with torch.no_grad():
        assert torch.equal(again(bag_of(9)).logits, aggregator(bag_of(9)).logits)


@every_aggregator
@pytest.mark.parametrize(
    ("n_classes", "multi_label", "target"), [(1, False, torch.tensor([1.0])), (3, False, torch.tensor(2)), (3, True, torch.tensor([1.0, 0, 1]))]
)
def test_the_losses_sum_to_the_training_loss_and_train(name, n_classes, multi_label, target):
    aggregator, bag = make(name, n_classes, multi_label=multi_label), bag_of(15)
    before = aggregator(bag, target).loss
    optimiser = torch.optim.SGD(aggregator.parameters(), 0.05)
    for _ in range(20):
        optimiser.zero_grad()
        aggregator(bag, target).loss.backward()
        optimiser.step()
    output = aggregator(bag, target)
    assert output.loss < before
    assert torch.allclose(sum(output.losses.values()), output.loss)
    assert output.probabilities().shape == (n_classes,)


def test_probabilities_follow_the_link():
    softmax, labels, unit = make("abmil", 3)(bag_of(4)), make("abmil", 3, multi_label=True)(bag_of(4)), make("abmil", 1)(bag_of(4))
    assert softmax.probabilities().sum().item() == pytest.approx(1)
    assert torch.equal(labels.probabilities(), labels.logits.sigmoid())
    assert torch.equal(unit.probabilities(), unit.logits.sigmoid())


def test_heads_are_concatenated_for_the_classifier():
    output = make("gated-abmil", 2, hidden=8, heads=3)(bag_of(10))
    assert output.attention.shape == (10, 3)
    assert output.embedding.shape == (24,)


def test_dsmil_weighs_its_two_streams_by_lambda():
    bag = bag_of(10)
    whole = {weight: make("dsmil", 2, lambda_=weight)(bag) for weight in (0.0, 0.25, 1.0)}
    first, second = whole[0.0].logits, whole[1.0].logits
    assert torch.equal(first, whole[0.0].instance_logits.amax(0))
    assert torch.allclose(whole[0.25].logits, 0.75 * first + 0.25 * second, atol=1e-6)
    assert torch.equal(whole[0.0].critical, whole[0.0].instance_logits.argmax(0))


def test_an_unknown_aggregator_or_option_is_named():
    with pytest.raises(UnknownNameError, match=r"'abmill'.*abmil"):
        create_aggregator("abmill", 8, 2)
    with pytest.raises(UnknownNameError, match="colour"):
        create_aggregator("abmil", 8, 2, colour="red")
