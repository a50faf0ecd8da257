"""Projections in front of methods that have none as published."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError

NAMES = ["nan", "mvcnn", "spoc", "deepmiml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_projection_gives_the_method_other_features_and_nothing_else(name):
    torch.manual_seed(0)
    projected = create_aggregator(name, 8, 1, hidden=5, dropout=0.5).eval()
    inner = create_aggregator(name, 5, 1).eval()
    inner.load_state_dict(
        {k: v for k, v in projected.state_dict().items() if not k.startswith("projection")}
    )
    bag = torch.randn(7, 8)
    assert torch.equal(projected(bag).logits, inner(projected.projection(bag)).logits)


@pytest.mark.parametrize("name", ["nan", "mvcnn", "spoc"])
def test_maps_have_no_projection_of_vectors(name):
    with pytest.raises(OptionError, match="not of maps"):
        create_aggregator(name, 8, 1, hidden=5, spatial_dims=2)


def test_scores_of_unit_vectors_do_not_grow_with_the_features():
    torch.manual_seed(0)
    aggregator = create_aggregator("nan", 8, 1, unit_vectors=True).eval()
    bag = torch.randn(7, 8)
    assert torch.allclose(aggregator(bag).scores, aggregator(100 * bag).scores, atol=1e-5)
