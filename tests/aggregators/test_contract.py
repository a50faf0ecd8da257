"""Contract of all aggregators, independent of their equations."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from napari_mil.aggregators import create_aggregator, list_aggregators
from napari_mil.aggregators.packing import ROWS
from napari_mil.errors import BagError

NAMES = sorted(list_aggregators())
BY_ORDER = {"ramil", "transmil", "dtfd"}
"""Methods in which the order of the instances counts, by design."""
ATTENDING = [
    "abmil",
    "clam-mb",
    "clam-sb",
    "dsmil",
    "dsmil-released",
    "dtfd",
    "gated-abmil",
    "nan",
    "sa-abmil",
]
every_aggregator = pytest.mark.parametrize("name", NAMES)
every_attention = pytest.mark.parametrize("name", ATTENDING)
every_invariant = pytest.mark.parametrize("name", [name for name in NAMES if name not in BY_ORDER])
sizes = st.integers(1, 40)
SMALL = {"transmil": {"hidden": 32, "landmarks": 8}}


def make(name, n_classes=3, in_dim=12, **options):
    torch.manual_seed(0)
    return create_aggregator(name, in_dim, n_classes, **{**SMALL.get(name, {}), **options}).eval()


def bag_of(n, seed=0, in_dim=12):
    return torch.randn(n, in_dim, generator=torch.Generator().manual_seed(seed))


def per_instance(output):
    """Values of an output for each instance, by name."""
    values = {
        name: getattr(output, name)
        for name in ("attention", "scores", "instance_logits", "similarity")
    }
    return {name: value for name, value in values.items() if value is not None}


@every_invariant
@settings(max_examples=15)
@given(n=sizes, seed=st.integers(0, 1000))
def test_the_order_of_instances_does_not_matter(name, n, seed):
    aggregator = make(name)
    bag = bag_of(n, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        straight = aggregator(bag)
        shuffled = aggregator(bag[order])
    assert torch.allclose(shuffled.logits, straight.logits, atol=1e-5)
    for kind, values in per_instance(straight).items():
        assert torch.allclose(per_instance(shuffled)[kind], values[order], atol=1e-5), kind


@every_aggregator
@settings(max_examples=12)
@given(n=sizes, scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_attention_sums_to_one_and_nothing_overflows(name, n, scale):
    with torch.no_grad():
        output = make(name)(bag_of(n) * scale)
    assert torch.isfinite(output.logits).all()
    assert (output.attention is not None) == (name in ATTENDING)
    if output.attention is not None:
        assert torch.allclose(
            output.attention.sum(0), torch.ones(output.attention.shape[1]), atol=1e-5
        )


@every_aggregator
@pytest.mark.parametrize("n_classes", [1, 2, 4])
@pytest.mark.parametrize("n", [1, 7])
def test_shapes_follow_the_contract(name, n_classes, n):
    output = make(name, n_classes)(bag_of(n))
    assert output.logits.shape == (n_classes,)
    assert all(len(values) == n for values in per_instance(output).values())
    assert output.instance_logits is None or output.instance_logits.shape == (n, n_classes)
    assert output.critical is None or output.critical.shape == (n_classes,)
    assert output.probabilities().shape == (n_classes,)


@every_aggregator
def test_equal_instances_are_treated_equally(name):
    bag = bag_of(6)
    bag[4] = bag[1]
    # What the order of the file decides may differ between twins: TransMIL's place, the pseudo-bag.
    for values in per_instance(make(name)(bag)).values() if name not in BY_ORDER else ():
        assert torch.allclose(values[4], values[1], atol=1e-6)


@every_aggregator
def test_float64_agrees_with_float32(name):
    aggregator = make(name)
    bag = bag_of(20)
    with torch.no_grad():
        single = aggregator(bag).logits
        double = aggregator.double()(bag.double()).logits
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, atol=1e-5)


@every_aggregator
def test_a_bag_of_16_bits_gives_nearly_the_same_answer(name):
    aggregator = make(name)
    bag = bag_of(ROWS + 100).bfloat16()
    with torch.no_grad():
        exact = aggregator(bag.float())
        quick = aggregator(bag)
    assert quick.logits.dtype == torch.float32
    assert torch.allclose(quick.probabilities(), exact.probabilities(), atol=0.02)


@every_aggregator
def test_weights_survive_a_state_dict_and_safetensors(name):
    aggregator = make(name)
    second = create_aggregator(name, 12, 3, **SMALL.get(name, {})).eval()
    third = create_aggregator(name, 12, 3, **SMALL.get(name, {})).eval()
    second.load_state_dict(load(save(aggregator.state_dict())))
    third.load_state_dict(aggregator.state_dict())
    with torch.no_grad():
        assert torch.equal(second(bag_of(9)).logits, aggregator(bag_of(9)).logits)
        assert torch.equal(third(bag_of(9)).logits, aggregator(bag_of(9)).logits)


@every_aggregator
@pytest.mark.parametrize(
    ("n_classes", "multi_label", "target"),
    [
        (1, False, torch.tensor([1.0])),
        (3, False, torch.tensor(2)),
        (3, True, torch.tensor([1.0, 0, 1])),
    ],
)
def test_the_losses_sum_to_the_training_loss_and_train(name, n_classes, multi_label, target):
    aggregator = make(name, n_classes, multi_label=multi_label)
    bag = bag_of(15)
    before = aggregator(bag, target).loss
    optimiser = torch.optim.Adam(aggregator.parameters(), 0.005)
    for _ in range(20):
        optimiser.zero_grad()
        aggregator(bag, target).loss.backward()
        optimiser.step()
    output = aggregator(bag, target)
    assert output.loss < before
    assert torch.allclose(sum(output.losses.values()), output.loss)


@every_aggregator
def test_every_weight_learns_from_a_bag(name):
    aggregator = make(name, gamma=0.5) if name == "sa-abmil" else make(name)
    if name == "clam-sb":
        aggregator.subtyping = True  # else only the label's instance classifier is asked
    aggregator.train()
    bag = bag_of(30)
    aggregator(bag, torch.tensor(1)).loss.backward()
    idle = {
        key
        for key, weight in aggregator.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    }
    # A softmax is blind to what all its instances share, a dot product to what all keys share, and
    # the plain kernel to its width.
    shared = (
        "attention.w.bias",
        "attention1.w.bias",
        "attention2.w.bias",
        "self_attention.key.bias",
        "self_attention.gamma_att",
    )
    assert (
        not {key for key in idle if not key.endswith(shared)}
        - {"instance_classifiers.0.weight"}
        - EXEMPT.get(name, set())
    ), idle


EXEMPT = {
    # Of the instance classifiers only the label's is asked unless classes exclude each other.
    "clam-mb": {f"instance_classifiers.{c}.{kind}" for c in (0, 2) for kind in ("weight", "bias")},
    # One cluster: its assignment is always 1.
    "gnn-mil": {
        "gnn_pool.lin_rel.weight",
        "gnn_pool.lin_root.weight",
        "gnn_pool.lin_root.bias",
        "mlp.weight",
        "mlp.bias",
    },
}


@every_aggregator
def test_many_bags_at_once_are_answered_as_one_by_one(name):
    aggregator = make(name)
    bags = [bag_of(n, n) for n in (1, 5, 2, 9, 30)]
    offsets = torch.tensor([0, 1, 6, 8, 17, 47])
    with torch.no_grad():
        packed = aggregator.forward_packed(torch.cat(bags), offsets)
        alone = [aggregator(bag) for bag in bags]
    assert torch.allclose(
        packed.logits, torch.stack([output.logits for output in alone]), atol=1e-5
    )
    assert torch.allclose(
        packed.probabilities(), torch.stack([output.probabilities() for output in alone]), atol=1e-5
    )
    for kind in ("attention", "instance_logits"):
        if getattr(packed, kind) is not None:
            assert torch.allclose(
                getattr(packed, kind),
                torch.cat([getattr(output, kind) for output in alone]),
                atol=1e-5,
            ), kind
    if getattr(packed, "critical", None) is not None:
        assert torch.equal(
            packed.critical,
            torch.stack(
                [output.critical + start for output, start in zip(alone, offsets, strict=False)]
            ),
        )


@every_aggregator
def test_maps_are_taken_as_they_are_or_averaged(name):
    maps = torch.randn(6, 12, 5, 4, generator=torch.Generator().manual_seed(3))
    aggregator = make(name, spatial_dims=2)
    with torch.no_grad():
        output = aggregator(maps)
        if not aggregator.works_on_maps:
            assert torch.equal(output.logits, make(name)(maps.mean((2, 3))).logits)
        packed = aggregator.forward_packed(maps, torch.tensor([0, 2, 6]))
        assert torch.allclose(packed.logits[1], aggregator(maps[2:]).logits, atol=1e-5)
    assert output.logits.shape == (3,)
    assert torch.isfinite(output.logits).all()


@pytest.mark.parametrize("name", ["hamil", "hamil-mean", "ramil", "mvcnn", "spoc", "nan"])
def test_the_methods_of_the_papers_work_on_maps(name):
    aggregator = make(name, spatial_dims=2)
    assert aggregator.works_on_maps
    maps = torch.randn(5, 12, 4, 4, requires_grad=True)
    aggregator(maps, torch.tensor(0)).loss.backward()
    assert (maps.grad.flatten(1).abs().sum(1) > 0).all() or name in ("mvcnn",)


@every_attention
@pytest.mark.parametrize("training", [False, True])
def test_a_large_bag_in_blocks_equals_the_textbook(name, training, monkeypatch):
    """Blocks and running sums are an optimisation, not another method."""
    from napari_mil.aggregators import packing

    aggregator = make(name)
    bag = bag_of(600) * 3

    def answer():
        features = bag.clone().requires_grad_()
        output = aggregator(features, torch.tensor(1))
        gradient = torch.autograd.grad(output.loss, features)[0] if training else output.embedding
        return output.logits, output.attention, gradient

    whole = answer()
    monkeypatch.setattr(packing, "ROWS", 64)
    for in_blocks, reference in zip(answer(), whole, strict=True):
        assert torch.allclose(in_blocks, reference, atol=1e-5)


@every_aggregator
@pytest.mark.parametrize(
    "bag", [torch.zeros(0, 12), torch.zeros(3, 11), torch.zeros(12), torch.zeros(3, 12, 2, 2)]
)
def test_a_bag_of_another_shape_is_refused_in_a_sentence(name, bag):
    with pytest.raises(BagError, match=r"shape .* takes \(N, D\)"):
        make(name)(bag)
