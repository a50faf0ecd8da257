"""HAMIL's merges: batched, differentiable, and independent of the order of the bag."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError
from napari_mil.networks import ResNet18


def maps(n=9, channels=6, side=5, seed=0):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


def hamil(**options):
    torch.manual_seed(0)
    return create_aggregator("hamil", 6, 2, spatial_dims=2, **options)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("depthwise", [False, True])
def test_merges_of_one_depth_at_once_equal_one_by_one(layers, depthwise):
    aggregator = hamil(layers=layers, kernel=3, depthwise=depthwise).eval()
    bag = maps()
    tree = aggregator.merges(bag)
    nodes = list(bag)
    for left, right, _ in tree.triplets.tolist():
        nodes.append(aggregator.unit(nodes[left][None], nodes[right][None])[0])
    assert torch.allclose(aggregator(bag).embedding, nodes[-1], atol=1e-5)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_canonical_order_makes_the_answer_independent_of_the_order_of_the_bag(layers):
    aggregator = hamil(layers=layers).eval()
    bag = maps(20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(aggregator(bag).logits, aggregator(bag[order]).logits, atol=1e-5)


def test_as_printed_the_answer_depends_on_the_order_of_the_bag():
    bag = maps(20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    as_printed = hamil(order="index").eval()
    assert not torch.allclose(
        as_printed(bag).embedding, as_printed(bag[order]).embedding, atol=1e-3
    )


def test_twins_do_not_disturb_the_canonical_order():
    aggregator = hamil(kernel=3).eval()
    bag = maps(12)
    bag[5] = bag[9] = bag[1]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(aggregator(bag).logits, aggregator(bag[order]).logits, atol=1e-5)


def test_gradients_flow_through_the_merges_into_the_backbone():
    torch.manual_seed(0)
    backbone = ResNet18(maps=True).eval()
    aggregator = create_aggregator("hamil", 512, 2, spatial_dims=2, kernel=3)
    features = backbone(torch.rand(3, 3, 64, 64))
    output = aggregator(features, torch.tensor(1))
    output.loss.backward()
    assert backbone.conv1.weight.grad.abs().sum() > 0
    assert not output.tree.heights.dtype.hasobject
    assert output.similarity.shape == (3,)


def test_a_batch_norm_in_training_sees_one_merge_at_a_time_unless_it_is_frozen():
    bag = maps()
    frozen = hamil(frozen_norm=True).train()
    moving = hamil().train()
    assert frozen.unit.can_batch_pairs
    assert not moving.unit.can_batch_pairs
    assert moving.eval().unit.can_batch_pairs
    frozen(bag)
    assert frozen.unit.bn1.num_batches_tracked == 0
    moving.train()(bag)
    assert moving.unit.bn1.num_batches_tracked == len(bag) - 1


def test_similarity_is_the_cosine_to_the_aggregate():
    output = hamil().eval()(maps())
    expected = torch.stack(
        [torch.cosine_similarity(one.flatten(), output.embedding.flatten(), 0) for one in maps()]
    )
    assert torch.allclose(output.similarity, expected, atol=1e-6)


def test_hamil_a_is_plain_averages_along_the_tree():
    bag = torch.tensor([[0.0], [1.0], [10.0]])
    output = create_aggregator("hamil-mean", 1, 2)(bag)
    assert output.embedding.item() == pytest.approx((0.5 + 10) / 2)


def test_ramil_shuffles_anew_in_training_and_always_alike_in_evaluation():
    torch.manual_seed(0)
    aggregator = create_aggregator("ramil", 6, 2, spatial_dims=2, frozen_norm=True)
    bag = maps(12)
    assert torch.equal(aggregator.eval()(bag).logits, aggregator(bag).logits)
    trees = {tuple(aggregator.train()(bag).tree.triplets[:, 1]) for _ in range(5)}
    assert len(trees) > 1


def test_a_unit_that_does_not_exist_is_refused():
    from napari_mil.errors import OptionError

    for wrong in ({"layers": 4}, {"kernel": 4}):
        with pytest.raises(OptionError, match="odd kernels"):
            hamil(**wrong)
    with pytest.raises(OptionError, match="maps"):
        create_aggregator("hamil", 6, 2, depthwise=True)


def test_one_value_per_channel_has_no_statistics_and_takes_the_running_ones():
    aggregator = create_aggregator("hamil", 6, 2, spatial_dims=2, depthwise=True, kernel=1).train()
    assert torch.isfinite(aggregator(torch.randn(4, 6, 1, 1), torch.tensor(1)).loss)


@pytest.mark.parametrize("name", ["hamil", "hamil-mean", "ramil"])
def test_vectors_can_pass_layers_before_they_are_merged(name):
    torch.manual_seed(0)
    aggregator = create_aggregator(name, 12, 1, dims=[8, 4]).eval()
    bag = torch.randn(6, 12)
    output = aggregator(bag)
    assert output.embedding.shape == (4,)
    assert sum(weight.numel() for weight in aggregator.projection.parameters()) == 140
    output.logits.sum().backward()
    assert aggregator.projection[0][0].weight.grad.abs().sum() > 0


def test_maps_pass_no_layers_of_vectors():
    with pytest.raises(OptionError, match="vectors"):
        create_aggregator("hamil", 6, 2, spatial_dims=2, dims=[4])


@pytest.mark.parametrize("spatial_dims", [1, 2])
def test_a_unit_that_starts_as_a_mean_is_hamil_a_until_it_learns(spatial_dims):
    options = {"spatial_dims": spatial_dims}
    mean = create_aggregator("hamil-mean", 6, 1, **options).eval()
    bag = maps() if spatial_dims == 2 else torch.randn(9, 6)
    starting = create_aggregator(
        "hamil", 6, 1, starts_as_mean=True, final_norm=False, **options
    ).eval()
    assert torch.allclose(starting(bag).embedding, mean(bag).embedding, atol=1e-6)


def test_a_deeper_unit_cannot_start_as_a_mean():
    with pytest.raises(OptionError, match="one layer"):
        create_aggregator("hamil", 6, 1, layers=2, starts_as_mean=True)
