"""Nyström attention: landmarks and the pseudo-inverse."""

import pytest
import torch

from napari_mil.aggregators.nystrom import NystromAttention


def test_landmarks_are_means_of_consecutive_tokens_with_zeros_in_front():
    attention = NystromAttention(2, heads=1, head_dim=2, landmarks=2, kernel=3)
    tokens = torch.arange(10.0).reshape(5, 2)
    means = attention.landmark_means(tokens, lambda rows: rows, padding=1)
    padded = torch.cat([torch.zeros(1, 2), tokens])
    assert torch.allclose(means, padded.reshape(2, 3, 2).mean(1))


def test_the_iterative_pseudo_inverse_inverts_a_softmax_matrix():
    attention = NystromAttention(2, heads=1, head_dim=2, landmarks=2, kernel=3)
    a = (3 * torch.eye(4)[None]).softmax(-1)
    assert torch.allclose(attention.pinv(a) @ a, torch.eye(4)[None], atol=1e-4)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd number of tokens"):
        NystromAttention(2, kernel=4)
