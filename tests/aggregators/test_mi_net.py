"""Multiple-instance networks: levels and their answers."""

import pytest
import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.errors import OptionError


def test_deep_supervision_averages_the_probabilities_of_the_levels():
    aggregator = create_aggregator("mi-net-ds", 6, 1).eval()
    output = aggregator(torch.randn(7, 6), torch.tensor([1.0]))
    levels = torch.stack([logits.sigmoid() for logits in output.streams.values()])
    assert torch.allclose(output.probabilities(), levels.mean(0), atol=1e-6)
    assert list(output.losses) == ["level 1", "level 2", "level 3"]


def test_residual_connections_need_levels_of_equal_width():
    with pytest.raises(OptionError, match="equal dims"):
        create_aggregator("mi-net-rc", 6, 2, dims=(8, 8, 4))
