"""Dual-stream MIL as the seed paper prints it (dual-stream maximum self-attention MIL, eq. 3-8).

    c_m = max_i W0 h_i                          first stream: the critical instance m          (eq. 3)
    q_i = Wq h_i,  v_i = Wv h_i                 query and information                          (eq. 4, 5)
    U(h_i, h_m) = exp<q_i, q_m> / sum_k exp<q_k, q_m>    unscaled inner products               (eq. 6)
    b   = sum_i U(h_i, h_m) v_i,  c_b = W1 b    second stream: the bag                         (eq. 7)
    c   = (1 - lambda) c_m + lambda c_b                                                        (eq. 8)

Choices the paper leaves open: lambda is 0.5 (its value is never given; the released loss weighs the streams equally); for
C > 1 classes each class has its own critical instance and c_b[j] = <W1[j], b_j>; the loss is that of c, or, with
`stream_losses`, the mean of the losses of both streams as the released code has it. No map has a bias.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_mil.aggregators.aggregator import Aggregator, pool
from napari_mil.aggregators.output import BagOutput


class DSMIL(Aggregator):
    """Dual-stream MIL, eq. 3-8.

    Parameters
    ----------
    in_dim, n_classes, multi_label
        See `Aggregator`.
    lambda_
        Weight of the bag stream in the answer, in [0, 1].
    stream_losses
        Train each stream on the target (half weight each) instead of their weighted sum.
    """

    def __init__(self, in_dim: int, n_classes: int, multi_label: bool = False, lambda_: float = 0.5, stream_losses: bool = False) -> None:
        super().__init__(in_dim, n_classes, multi_label)
        if not 0 <= lambda_ <= 1:
            raise ValueError(f"lambda_ weighs two streams and lies in [0, 1], not {lambda_:g}")
        self.lambda_, self.stream_losses = lambda_, stream_losses
        self.W0 = nn.Linear(in_dim, n_classes, bias=False)
        self.Wq = nn.Linear(in_dim, in_dim, bias=False)
        self.Wv = nn.Linear(in_dim, in_dim, bias=False)
        self.W1 = nn.Linear(in_dim, n_classes, bias=False)
        # <q_i, q_m> is not scaled: queries start small enough that a bag of standardised features does not saturate the softmax.
        nn.init.xavier_uniform_(self.Wq.weight, gain=in_dim**-0.25)

    def forward(self, bag: Tensor, target: Tensor | None = None, instance_target: Tensor | None = None) -> BagOutput:
        """See `Aggregator.forward`; attention (N, C), scores (N, C), instance_logits (N, C), critical (C,)."""
        instance_logits = self.W0(bag)  # (N, D) -> (N, C)
        critical = instance_logits.argmax(0)  # eq. 3: (C,), the first of equals
        maximum = instance_logits.gather(0, critical[None])[0]  # c_m: (C,)
        queries = self.Wq(bag)  # eq. 4: (N, D)
        scores = queries @ queries[critical].T  # eq. 6: <q_i, q_m>, (N, C)
        attention = scores.softmax(0)
        embedding = self.Wv(pool(attention, bag))  # eq. 5, 7: Wv is linear, so it may follow the sum; (C, D)
        bag_logits = (self.W1.weight * embedding).sum(1)  # c_b[j] = <W1[j], b_j>: (C,)
        logits = (1 - self.lambda_) * maximum + self.lambda_ * bag_logits  # eq. 8
        losses: dict[str, Tensor] = {}
        if target is not None and self.stream_losses:
            losses = {"instance stream": self.bag_loss(maximum, target) / 2, "bag stream": self.bag_loss(bag_logits, target) / 2}
        elif target is not None:
            losses = {"bag": self.bag_loss(logits, target)}
        if instance_target is not None:
            losses["instances"] = self.instance_loss(instance_logits, instance_target)
        return BagOutput(logits, self.multi_label, attention, scores, instance_logits, embedding, critical, losses=losses)
