"""Sum-pooled convolutional features: prior and length."""

import torch

from napari_mil.aggregators import create_aggregator


def test_the_prior_is_symmetric_and_highest_at_the_centre():
    prior = create_aggregator("spoc", 3, 2, spatial_dims=2).prior(5, 7)
    assert prior[2, 3] == prior.max() == 1
    assert torch.equal(prior, prior.flip(0))
    assert torch.equal(prior, prior.flip(1))


def test_the_sum_has_length_1_only_where_it_is_normalised():
    bag = torch.randn(6, 3)
    normalised = create_aggregator("spoc", 3, 2)(bag).embedding
    assert torch.allclose(normalised.norm(), torch.tensor(1.0))
    plain = create_aggregator("spoc", 3, 2, normalise=False)(bag).embedding
    assert torch.allclose(plain, bag.sum(0), atol=1e-6)
