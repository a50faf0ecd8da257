"""A backbone and an aggregator trained from images."""

import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.networks import ResNet18


def test_chunks_count_each_image_once_in_running_statistics():
    network = EndToEnd(ResNet18(), create_aggregator("abmil", 512, 2, hidden=None), chunk=2).train()
    network(torch.rand(4, 3, 32, 32), torch.tensor(1)).loss.backward()
    assert network.backbone.bn1.num_batches_tracked == 2
