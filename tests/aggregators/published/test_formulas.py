"""Methods without published code, rebuilt from the shapes of their tensors."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator, load_published_state


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("mi-net", {"dims": (8, 6, 4), "pooling": "mean"}, {"pooling": "ave"}),
        ("gnn-mil", {"hidden": 6, "clusters": 2}, {}),
        ("deepmiml", {"sub_concepts": 3, "multi_label": True}, {"sub_concepts": 3}),
    ],
)
def test_sizes_and_options_are_read_from_tensors_and_hint(name, options, hint):
    torch.manual_seed(0)
    original = create_aggregator(name, 5, 2, **options).eval()
    bag = torch.randn(7, 5)
    rebuilt = load_published_state(original.state_dict(), {"aggregator": name, **hint})
    assert torch.equal(rebuilt(bag).probabilities(), original(bag).probabilities())
