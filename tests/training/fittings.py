"""Fittings of small cohorts, run and compared."""

import torch

from napari_mil.events import CancellationToken


def run(fitting, epochs=None):
    for _ in range(epochs or fitting.epochs):
        fitting.advance(CancellationToken())
    return fitting


def weights(fitting):
    return {key: tensor.clone() for key, tensor in fitting.network.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)
