"""Multi-view CNN: view pooling."""

import torch

from napari_mil.aggregators import create_aggregator


def test_the_embedding_is_the_element_wise_maximum_of_the_maps():
    maps = torch.randn(5, 3, 2, 2)
    aggregator = create_aggregator("mvcnn", 3, 2, spatial_dims=2)
    output = aggregator(maps)
    assert torch.equal(output.embedding, maps.amax(0))
    logits = aggregator.classifier(maps.amax(0).mean((1, 2)))
    assert torch.allclose(output.logits, logits, atol=1e-6)
