"""Nyström attention: landmarks and the pseudo-inverse."""

import pytest
import torch

from napari_mil.aggregators.nystrom import NystromAttention


def test_landmarks_are_means_of_consecutive_tokens_with_zeros_in_front():
    attention = NystromAttention(2, heads=1, head_dim=2, landmarks=2, kernel=3)
    tokens = torch.arange(10.0).reshape(5, 2)
    means, _ = attention.landmark_means(tokens, lambda rows: rows, padding=1)
    padded = torch.cat([torch.zeros(1, 2), tokens])
    assert torch.allclose(means, padded.reshape(2, 3, 2).mean(1))


def test_the_iterative_pseudo_inverse_inverts_a_softmax_matrix():
    attention = NystromAttention(2, heads=1, head_dim=2, landmarks=2, kernel=3)
    a = (3 * torch.eye(4)[None]).softmax(-1)
    assert torch.allclose(attention.pinv(a, torch.ones(4)) @ a, torch.eye(4)[None], atol=1e-4)


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd number of tokens"):
        NystromAttention(2, kernel=4)


def whole_pinv(a, iterations):
    """Pseudo-inverse of eq. 11 with every landmark written out."""
    eye = torch.eye(a.shape[-1], dtype=a.dtype)
    z = a.mT / (a.sum(-1).max() * a.sum(-2).max())
    for _ in range(iterations):
        az = a @ z
        z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
    return z


@pytest.mark.parametrize("tokens", [1, 5, 16, 17, 25])
def test_landmarks_of_padding_count_once_with_their_number_and_change_nothing(tokens):
    torch.manual_seed(0)
    attention = NystromAttention(8, heads=2, head_dim=4, landmarks=16, kernel=3).double().eval()
    x = torch.randn(tokens, 8, dtype=torch.float64)
    [out], _ = attention(x, lambda rows: rows)
    padded = torch.cat([x.new_zeros(-tokens % 16, 8), x])
    q, k, v = attention.to_qkv(padded).unflatten(1, (3, 2, 4)).permute(1, 2, 0, 3)
    q = q / 4**0.5
    q_l, k_l = (rows.unflatten(1, (16, -1)).mean(2) for rows in (q, k))
    inverse = whole_pinv((q_l @ k_l.mT).softmax(-1), 6)
    mixed = (q @ k_l.mT).softmax(-1) @ inverse @ (q_l @ k.mT).softmax(-1) @ v
    local = attention.res_conv(v[None])[0]
    expected = attention.to_out((mixed + local).transpose(0, 1).flatten(1))[-tokens:]
    assert torch.allclose(out, expected, atol=1e-10)


def test_a_bag_smaller_than_the_landmarks_pays_for_its_own_tokens_alone():
    attention = NystromAttention(8, heads=2, head_dim=4, landmarks=64, kernel=3)
    means, copies = attention.landmark_means(torch.randn(5, 8), lambda rows: rows, padding=59)
    assert len(means) == 6
    assert copies.tolist() == [59, 1, 1, 1, 1, 1]
