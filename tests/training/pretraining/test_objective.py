import numpy as np
import pytest
import torch

from napari_mil.training.pretraining.objective import contrastive_loss, projection_head


def loss_by_definition(first, second, temperature):
    """Equation 1 of the paper, view by view."""
    views = np.concatenate([first, second])
    views = views / np.linalg.norm(views, axis=1, keepdims=True)
    count = len(first)
    losses = []
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        terms = [np.exp(views[i] @ views[k] / temperature) for k in range(2 * count) if k != i]
        losses.append(-np.log(np.exp(views[i] @ views[j] / temperature) / sum(terms)))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_loss_is_that_of_the_paper(temperature):
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 5, 8))
    loss = contrastive_loss(torch.tensor(first), torch.tensor(second), temperature)
    assert loss.item() == pytest.approx(loss_by_definition(first, second, temperature))


def test_equal_views_of_different_tiles_cost_less_than_mixed_ones():
    tiles = torch.eye(6)
    assert contrastive_loss(tiles, tiles, 0.2) < contrastive_loss(tiles, tiles.roll(1, 0), 0.2)


def test_the_loss_does_not_see_the_length_of_a_vector():
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 8, generator=random)
    lengths = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    expected = contrastive_loss(first, second, 0.5).item()
    assert contrastive_loss(first * lengths, second, 0.5).item() == pytest.approx(expected)


def test_the_projection_is_shorter_than_the_vector():
    assert projection_head(304)(torch.zeros(2, 304)).shape == (2, 64)
