"""Dual-stream MIL (DSMIL), as printed and as released.

Printed in the seed paper, released by Li, Li & Eliceiri 2021 (dsmil-wsi, CVPR).

Printed (dual-stream maximum self-attention MIL, eq. 3-8):

    c_m = max_i W0 h_i                          first stream: the critical instance m     (eq. 3)
    q_i = Wq h_i,  v_i = Wv h_i                 query and information                     (eq. 4, 5)
    U(h_i, h_m) = exp<q_i, q_m> / sum_k exp<q_k, q_m>    unscaled inner products          (eq. 6)
    b   = sum_i U(h_i, h_m) v_i,  c_b = W1 b    second stream: the bag                    (eq. 7)
    c   = (1 - lambda) c_m + lambda c_b                                                   (eq. 8)

Choices the paper leaves open: lambda is 0.5 (its value is never given; the released loss weighs the
streams equally); for C > 1 classes each class has its own critical instance and
c_b[j] = <W1[j], b_j>; the loss is that of c, or, with `stream_losses`, the mean of the losses of
both streams as the released code has it. No map has a bias. `hidden` puts a projection in front, as
slide-level implementations do; None is the printed form.

Released: biases; a query of two layers, 128 units, tanh; products divided by sqrt(128); information
is the features themselves, or with `passing_v` a layer of its own; the bag stream alone answers,
every class seeing the embedding of every class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.aggregators.aggregator import PackedAggregator, Task, projection
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Bags, OneBag, blockwise
from napari_mil.aggregators.pooling import pool_probabilities
from napari_mil.aggregators.weighted_values import WeightedValues

INSTANCE_STREAM = "instance stream"
BAG_STREAM = "bag stream"


class DSMIL(PackedAggregator):
    """Dual-stream MIL as printed in its seed paper (eq. 3-8).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of a projection before it; None as printed.
    lambda_
        Weight of the bag stream in the answer, in [0, 1].
    stream_losses
        Train each stream on the target (half weight each) instead of their weighted sum.
    dropout
        Rate after the projection, in training.
    """

    reads_16_bits = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = None,
        lambda_: float = 0.5,
        stream_losses: bool = False,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        if not 0 <= lambda_ <= 1:
            raise ValueError(f"lambda_ weighs two streams and lies in [0, 1], not {lambda_:g}")
        self.lambda_ = lambda_
        self.stream_losses = stream_losses
        width = hidden or in_dim
        self.projection = projection(in_dim, hidden, dropout)
        self.W0 = nn.Linear(width, n_classes, bias=False)
        self.Wq = nn.Linear(width, width, bias=False)
        self.Wv = nn.Linear(width, width, bias=False)
        self.W1 = nn.Linear(width, n_classes, bias=False)
        # <q_i, q_m> is not scaled: queries start small enough that a bag of standardised features
        # does not saturate the softmax.
        nn.init.xavier_uniform_(self.Wq.weight, gain=width**-0.25)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with attention, scores and instance_logits (N, C), see `PackedAggregator`.

        critical is (B, C), the embedding (B, C, M).
        """
        h = features
        if not isinstance(self.projection, nn.Identity):
            h = blockwise(self.projection, features)  # (N, D) -> (N, M)
        instance_logits = blockwise(self.W0, h)  # (N, C)
        critical = bags.argmax(instance_logits)  # eq. 3: (B, C), the first of equals
        maximum = instance_logits.gather(0, critical)  # c_m: (B, C)
        q_m = self.Wq(h[critical].to(self.Wq.weight.dtype))  # eq. 4: (B, C, M)
        # eq. 6: <Wq h_i, q_m> = <h_i, Wq^T q_m>, so no query but the critical ones is computed.
        scores = bags.products(h, q_m @ self.Wq.weight)  # (N, C)
        attention = bags.softmax(scores)
        # eq. 5, 7: Wv is linear, so it may follow the sum.
        embedding = self.Wv(bags.weighted_sum(attention, h))  # (B, C, M)
        bag_logits = (self.W1.weight * embedding).sum(2)  # c_b[j] = <W1[j], b_j>: (B, C)
        logits = (1 - self.lambda_) * maximum + self.lambda_ * bag_logits  # eq. 8
        streams = {INSTANCE_STREAM: maximum, BAG_STREAM: bag_logits}
        return PackedOutput(
            logits,
            self.multi_label,
            attention,
            scores,
            instance_logits,
            embedding,
            critical,
            streams,
        )

    @torch.inference_mode()
    def weighted_values(self, bag: Tensor) -> WeightedValues:
        """Return the logits as weighted means, see `Aggregator.weighted_values`.

        They hold while every class keeps its critical instance.
        """
        features = self.instances(bag)
        output = self.answer(features, OneBag())
        assert output.scores is not None
        assert output.critical is not None
        # eq. 5, 7, 8: lambda <W1[j], Wv h_i> for each class j.
        informed = self.lambda_ * self.W1.weight @ self.Wv.weight
        own = blockwise(lambda rows: functional.linear(rows, informed), features)  # (N, C)
        maximum = output.streams[INSTANCE_STREAM][0]
        return _values_by_class(
            output.scores, torch.diag_embed(own), (1 - self.lambda_) * maximum, output.critical[0]
        )

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return the weighted loss terms, see `PackedAggregator`."""
        losses = super().losses(output, target, instance_target)
        return _split_by_stream(self, losses, output, target) if self.stream_losses else losses


class DSMILReleased(PackedAggregator):
    """Dual-stream MIL as its authors released it (dsmil-wsi).

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of a projection before it, as MHIM-MIL has it; None as released.
    query_dim
        Length of a query.
    nonlinear_q
        A query of two layers with tanh; False is the older release's single layer.
    passing_v
        Give the information a layer of its own instead of the features themselves.
    v_relu
        Whether that layer ends in ReLU; the first release had none.
    average_streams
        Answer with the mean of both streams' probabilities, as MHIM-MIL does, instead of the bag
        stream alone.
    dropout
        Rate before the information layer and after the projection, in training.
    """

    reads_16_bits = True

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = None,
        query_dim: int = 128,
        nonlinear_q: bool = True,
        passing_v: bool = False,
        v_relu: bool = True,
        average_streams: bool = False,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        width = hidden or in_dim
        self.projection = projection(in_dim, hidden, dropout)
        self.instance_classifier = nn.Linear(width, n_classes)
        self.q = nn.Linear(width, query_dim)
        self.q2 = nn.Linear(query_dim, query_dim) if nonlinear_q else None
        self.average_streams = average_streams
        information = (
            nn.Dropout(dropout),
            nn.Linear(width, width),
            *([nn.ReLU()] if v_relu else []),
        )
        self.v = nn.Sequential(*information) if passing_v else nn.Identity()
        self.bag_classifier = nn.Conv1d(n_classes, n_classes, width)

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with attention, scores and instance_logits (N, C), see `PackedAggregator`.

        critical is (B, C), the embedding (B, C, M).
        """
        h = features
        if not isinstance(self.projection, nn.Identity):
            h = blockwise(self.projection, features)  # (N, M)
        instance_logits = blockwise(self.instance_classifier, h)  # (N, C)
        critical = bags.argmax(instance_logits)  # (B, C)
        q_m = self.query(h[critical].to(self.q.weight.dtype))  # (B, C, Q)
        scores = self.products(h, q_m, bags) / self.q.out_features**0.5  # (N, C)
        attention = bags.softmax(scores)
        values = h if isinstance(self.v, nn.Identity) else blockwise(self.v, h)
        embedding = bags.weighted_sum(attention, values)  # (B, C, M)
        # Every class sees the embedding of every class.
        logits = self.bag_classifier(embedding)[..., 0]  # (B, C)
        streams = {INSTANCE_STREAM: instance_logits.gather(0, critical), BAG_STREAM: logits}
        if self.average_streams:
            logits = pool_probabilities(
                torch.stack(list(streams.values())), self.sigmoids, OneBag(), "mean"
            )[0]
        return PackedOutput(
            logits,
            self.multi_label,
            attention,
            scores,
            instance_logits,
            embedding,
            critical,
            streams,
        )

    @torch.inference_mode()
    def weighted_values(self, bag: Tensor) -> WeightedValues | None:
        """Return the logits as weighted means, see `Aggregator.weighted_values`.

        They hold while every class keeps its critical instance; None where the answer is the mean
        of both streams' probabilities.
        """
        if self.average_streams:
            return None
        features = self.instances(bag)
        output = self.answer(features, OneBag())
        assert output.scores is not None
        assert output.critical is not None
        weight = self.bag_classifier.weight  # (C, C, M): class, embedding of a class, unit
        by_embedding = weight.transpose(0, 1).flatten(0, 1)

        def value(rows: Tensor) -> Tensor:
            return functional.linear(self.v(self.projection(rows)), by_embedding)

        values = blockwise(value, features).unflatten(1, (self.n_classes, self.n_classes))
        assert self.bag_classifier.bias is not None
        return _values_by_class(output.scores, values, self.bag_classifier.bias, output.critical[0])

    def query(self, h: Tensor) -> Tensor:
        """Return the queries q(h): (..., M) -> (..., Q)."""
        q: Tensor = self.q(h) if self.q2 is None else self.q2(self.q(h).relu()).tanh()
        return q

    def products(self, h: Tensor, q_m: Tensor, bags: Bags) -> Tensor:
        """Multiply queries with critical queries: (N, M), (B, C, Q) -> (N, C).

        <q(h_i), q_m> of each class.
        """
        if self.q2 is None:
            # <A h + b, q_m> = <h, A^T q_m> + <b, q_m>: only the critical queries are computed.
            return bags.products(h, q_m @ self.q.weight) + bags.spread(q_m @ self.q.bias)
        return bags.products(blockwise(self.query, h), q_m)

    def losses(
        self, output: PackedOutput, target: Tensor | None, instance_target: Tensor | None
    ) -> Mapping[str, Tensor]:
        """Return half of each stream's loss."""
        losses = super().losses(output, target, instance_target)
        return _split_by_stream(self, losses, output, target)


def _values_by_class(
    scores: Tensor, values: Tensor, bias: Tensor, critical: Tensor
) -> WeightedValues:
    """Return scores (N, C), values (N, C, C), bias (C,) and critical (C,) as weighted values."""
    return WeightedValues(
        scores.double().cpu().numpy(),
        values.double().cpu().numpy(),
        bias.double().cpu().numpy(),
        tuple(dict.fromkeys(critical.tolist())),
    )


def _split_by_stream(
    aggregator: PackedAggregator,
    losses: Mapping[str, Tensor],
    output: PackedOutput,
    target: Tensor | None,
) -> Mapping[str, Tensor]:
    """Replace the loss of the answer by half of each stream's loss."""
    other_losses = {name: loss for name, loss in losses.items() if name != "bag"}
    if target is None:
        return other_losses
    stream_losses = {
        name: aggregator.bag_loss(logits[0], target) / 2 for name, logits in output.streams.items()
    }
    return {**stream_losses, **other_losses}
