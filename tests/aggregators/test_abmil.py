"""Attention-based MIL: its printed equations."""

import torch

from napari_mil.aggregators import create_aggregator
from napari_mil.aggregators.packing import ROWS


def test_the_answer_follows_equations_7_to_9():
    torch.manual_seed(0)
    aggregator = create_aggregator("gated-abmil", 6, 2, hidden=None, attention_dim=4).eval()
    h = torch.randn(9, 6)
    layer = aggregator.attention
    attention = layer.w(layer.V(h).tanh() * layer.U(h).sigmoid()).softmax(0)
    output = aggregator(h)
    assert torch.allclose(output.attention, attention, atol=1e-6)
    assert torch.allclose(output.embedding, (attention.T @ h).flatten(), atol=1e-6)


def test_signal_and_gate_of_a_large_bag_are_those_of_separate_products():
    torch.manual_seed(0)
    layer = create_aggregator("gated-abmil", 6, 2, hidden=None, attention_dim=4).attention
    h = torch.randn(ROWS, 6)
    signal, gate = layer.apply_signal_and_gate(h)
    assert torch.allclose(signal, layer.V(h), atol=1e-6)
    assert torch.allclose(gate, layer.U(h), atol=1e-6)
