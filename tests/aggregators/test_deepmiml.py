"""Deep MIML network: sub-concepts."""

import torch

from napari_mil.aggregators import create_aggregator


def test_the_best_sub_concept_of_the_best_instance_answers():
    torch.manual_seed(0)
    aggregator = create_aggregator("deepmiml", 4, 2, sub_concepts=3, multi_label=True)
    bag = torch.randn(5, 4)
    scores = aggregator.subconcept(bag).reshape(5, 2, 3)
    output = aggregator(bag)
    assert torch.equal(output.instance_logits, scores.amax(2))
    assert torch.equal(output.logits, scores.amax((0, 2)))
