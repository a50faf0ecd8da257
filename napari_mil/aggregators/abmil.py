"""Attention-based MIL: Ilse, Tomczak & Welling 2018, "Attention-based deep multiple instance learning", ICML.

    z   = sum_k a_k h_k                                            (eq. 7)
    a_k = softmax_k( w^T tanh(V h_k) )                             (eq. 8)
    a_k = softmax_k( w^T ( tanh(V h_k) * sigm(U h_k) ) )           (eq. 9, gated)
    P(Y = 1) = sigm(classifier(z))

Departs from the paper: V, U and w have biases, as its authors' code has (`attention_bias=False` for the printed form);
with several heads, which the authors' code cannot run, the head embeddings are concatenated for the classifier.
As slide-level implementations do, features are projected to `hidden` units with ReLU first; `hidden=None` is the bare form.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from napari_mil.aggregators.aggregator import Aggregator, pool
from napari_mil.aggregators.output import BagOutput

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


class ABMIL(Aggregator):
    """Attention MIL.

    Parameters
    ----------
    in_dim, n_classes, multi_label
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

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        multi_label: bool = False,
        hidden: int | None = 512,
        attention_dim: int = 128,
        heads: int = 1,
        activation: Literal["tanh", "relu"] = "tanh",
        attention_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_dim, n_classes, multi_label)
        width = hidden or in_dim
        self.projection: nn.Module = nn.Sequential(nn.Linear(in_dim, width), nn.ReLU(), nn.Dropout(dropout)) if hidden else nn.Identity()
        self.V = nn.Linear(width, attention_dim, bias=attention_bias)
        self.w = nn.Linear(attention_dim, heads, bias=attention_bias)
        self.activation = ACTIVATIONS[activation]()
        self.classifier = nn.Linear(heads * width, n_classes)

    def forward(self, bag: Tensor, target: Tensor | None = None, instance_target: Tensor | None = None) -> BagOutput:
        """See `Aggregator.forward`; attention (N, K), scores (N, K)."""
        h = self.projection(bag)  # (N, D) -> (N, M)
        scores = self.scores(h)  # (N, M) -> (N, K)
        attention = scores.softmax(0)  # eq. 8, 9
        embedding = pool(attention, h).flatten()  # eq. 7: (K, M) -> (K * M,)
        logits = self.classifier(embedding)
        losses = {} if target is None else {"bag": self.bag_loss(logits, target)}
        return BagOutput(logits, self.multi_label, attention, scores, embedding=embedding, losses=losses)

    def scores(self, h: Tensor) -> Tensor:
        """w^T tanh(V h_k), eq. 8 before the softmax: (N, M) -> (N, K)."""
        scores: Tensor = self.w(self.activation(self.V(h)))
        return scores


class GatedABMIL(ABMIL):
    """Gated attention MIL (eq. 9); parameters as `ABMIL`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.U = nn.Linear(self.V.in_features, self.V.out_features, bias=self.V.bias is not None)

    def scores(self, h: Tensor) -> Tensor:
        """w^T ( tanh(V h_k) * sigm(U h_k) ), eq. 9 before the softmax: (N, M) -> (N, K)."""
        scores: Tensor = self.w(self.activation(self.V(h)) * self.U(h).sigmoid())
        return scores
