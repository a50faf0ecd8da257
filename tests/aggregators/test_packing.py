"""Operations over one bag and over many packed bags."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.packing import ROWS, OneBag, PackedBags
from napari_mil.errors import BagError


def test_packed_operations_equal_those_of_each_bag_alone():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(7, 3, generator=generator)
    packed = PackedBags(torch.tensor([0, 2, 7]), 7)
    alone = [values[:2], values[2:]]
    for operation in ("softmax", "sum", "mean", "max", "logmeanexp"):
        expected = torch.cat([getattr(OneBag(), operation)(bag) for bag in alone])
        assert torch.allclose(getattr(packed, operation)(values), expected, atol=1e-6), operation


def test_argmax_takes_the_first_of_equal_scores():
    scores = torch.tensor([[1.0], [1.0], [0.0], [2.0], [2.0]])
    assert OneBag().argmax(scores).tolist() == [[3]]
    assert PackedBags(torch.tensor([0, 3, 5]), 5).argmax(scores).tolist() == [[0], [3]]


@pytest.mark.parametrize("offsets", [[0, 3, 3, 5], [1, 5], [0, 4], [0], [0, 6, 5]])
def test_offsets_that_do_not_cut_the_rows_into_bags_are_refused(offsets):
    with pytest.raises(BagError, match="Offsets"):
        create_aggregator("abmil", 12, 3).forward_packed(torch.randn(5, 12), torch.tensor(offsets))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("abmil", {"hidden": None}),
        ("dsmil", {}),
        ("dsmil-released", {}),
        ("clam-mb", {"hidden": None}),
    ],
)
def test_large_bags_of_16_bits_do_not_overflow(name, options, dtype):
    torch.manual_seed(0)
    aggregator = create_aggregator(name, 64, 2, **options).eval()
    bag = (torch.randn(ROWS + 500, 64) * 60).to(dtype)
    with torch.no_grad():
        output = aggregator(bag)
        exact = aggregator(bag.float())
    assert torch.isfinite(output.logits).all()
    assert torch.allclose(output.probabilities(), exact.probabilities(), atol=0.05)
