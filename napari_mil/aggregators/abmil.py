"""Attention-based MIL (ABMIL).

Ilse, Tomczak & Welling 2018, "Attention-based deep multiple instance learning", ICML.

    z   = sum_k a_k h_k                                            (eq. 7)
    a_k = softmax_k( w^T tanh(V h_k) )                             (eq. 8)
    a_k = softmax_k( w^T ( tanh(V h_k) * sigm(U h_k) ) )           (eq. 9, gated)
    P(Y = 1) = sigm(classifier(z))

Departs from the paper: V, U and w have biases, as its authors' code has (`attention_bias=False` for
the printed form); with several heads, which the authors' code cannot run, the head embeddings are
concatenated for the classifier. As slide-level implementations do, features are projected to
`hidden` units with ReLU first; `hidden=None` is the bare form.
"""

from __future__ import annotations

from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import (
    PackedAggregator,
    Task,
    projection,
    values_of_linear_classifier,
)
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import ROWS, Bags
from napari_mil.aggregators.weighted_values import WeightedValues

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
"""Activations after V by name."""


class Attention(nn.Module):
    """Attention scores before the softmax.

    w^T tanh(V h_k) (eq. 8), or gated w^T ( tanh(V h_k) * sigm(U h_k) ) (eq. 9).

    Parameters
    ----------
    width
        M, length of h.
    dim
        L, units of V and U.
    heads
        K, score columns.
    gated
        Whether there is a gate U.
    activation, bias
        See `ABMIL`.
    dropout
        Rate after V and after U, in training.
    """

    def __init__(
        self,
        width: int,
        dim: int,
        heads: int = 1,
        *,
        gated: bool,
        activation: str = "tanh",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.V = nn.Linear(width, dim, bias=bias)
        self.U = nn.Linear(width, dim, bias=bias) if gated else None
        self.w = nn.Linear(dim, heads, bias=bias)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """Score instances: (N, M) -> (N, K)."""
        if self.U is None:
            signal = self.dropout(self.activation(self.V(h)))
        else:
            signal, gate = (
                self.apply_signal_and_gate(h) if len(h) >= ROWS else (self.V(h), self.U(h))
            )
            signal = self.dropout(self.activation(signal)) * self.dropout(gate.sigmoid())
        scores: Tensor = self.w(signal)
        return scores

    def apply_signal_and_gate(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return V h and U h, computed as one matrix product: (N, M) -> (N, L) twice.

        A seventh faster where joining the weights does not cost more.
        """
        assert self.U is not None
        bias = None if self.V.bias is None else torch.cat([self.V.bias, self.U.bias])
        weight = torch.cat([self.V.weight, self.U.weight])
        signal, gate = functional.linear(h, weight, bias).chunk(2, 1)
        return signal, gate


class ABMIL(PackedAggregator):
    """Attention-based MIL (Ilse et al. 2018, eq. 7 and 8).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        M, units of the projection; None leaves features as they are.
    attention_dim
        L, units of V.
    heads
        K attention distributions.
    activation
        ``"tanh"`` as printed; ``"relu"`` as some slide-level code has it.
    attention_bias
        Whether V, U and w have biases.
    dropout
        Rate after the projection, in training.
    """

    gated = False
    reads_16_bits = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = 512,
        attention_dim: int = 128,
        heads: int = 1,
        activation: Literal["tanh", "relu"] = "tanh",
        attention_bias: bool = True,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        width = hidden or in_dim
        self.projection = projection(in_dim, hidden, dropout)
        self.attention = Attention(
            width,
            attention_dim,
            heads,
            gated=self.gated,
            activation=activation,
            bias=attention_bias,
        )
        self.classifier = nn.Linear(heads * width, n_classes)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with attention (N, K) and scores (N, K), see `PackedAggregator`.

        The embedding is (B, K * M).
        """
        attended = bags.attend(self.embed_and_score, features)  # eq. 8, 9 and 7
        embedding = attended.embedding.flatten(1)  # (B, K, M) -> (B, K * M)
        return PackedOutput(
            self.classifier(embedding),
            self.multi_label,
            attended.attention,
            attended.scores,
            embedding=embedding,
        )

    def embed_and_score(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Project and score instances: (n, D) -> h (n, M), scores (n, K)."""
        h = self.projection(features)
        return h, self.attention(h)

    def weighted_values(self, bag: Tensor) -> WeightedValues:
        """Return the logits as weighted means, see `Aggregator.weighted_values`."""
        heads = self.attention.w.out_features
        weight = self.classifier.weight.unflatten(1, (heads, -1))
        return values_of_linear_classifier(
            self.embed_and_score, self.instances(bag), weight, self.classifier.bias
        )


class GatedABMIL(ABMIL):
    """Gated attention-based MIL (Ilse et al. 2018, eq. 7 and 9).

    Parameters as `ABMIL`.
    """

    gated = True
