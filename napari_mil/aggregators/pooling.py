"""Pooling of instance features and instance probabilities.

Features: max; mean; sum; log-sum-exp with the mean inside, (1/r) log mean exp(r x), as Wang et al.
2018 compute it.
Probabilities: the same, and noisy-or 1 - prod(1 - p); ISR s / (1 + s) with s = sum p / (1 - p);
the generalised mean (mean p^r)^(1/r);
noisy-and (sigm(a (m - b)) - sigm(-a b)) / (sigm(a (1 - b)) - sigm(-a b)) with m = mean p (Kraus, Ba
& Frey 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, Unpack

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
from napari_mil.aggregators.packing import Bags
from napari_mil.aggregators.weighted_values import WeightedValues

Pooling = Literal["max", "mean", "lse"]


def lse(values: Tensor, bags: Bags, r: float = 1.0) -> Tensor:
    """Pool by log-sum-exp.

    (1/r) log mean exp(r x): (N, ...) -> (B, ...).
    """
    return bags.logmeanexp(r * values) / r


def noisy_or(p: Tensor, bags: Bags) -> Tensor:
    """Pool probabilities by noisy-or.

    1 - prod(1 - p), computed in logarithms: (N, ...) -> (B, ...).
    """
    return -torch.expm1(bags.sum(torch.log1p(-p)))


def isr(p: Tensor, bags: Bags) -> Tensor:
    """Pool probabilities by integrated segmentation and recognition.

    s / (1 + s) with s = sum p / (1 - p): (N, ...) -> (B, ...).
    """
    odds = bags.sum(p / (1 - p))
    return odds / (1 + odds)


def generalised_mean(p: Tensor, bags: Bags, r: float = 2.5) -> Tensor:
    """Pool probabilities by their generalised mean.

    (mean p^r)^(1/r): (N, ...) -> (B, ...).
    """
    return bags.mean(p**r) ** (1 / r)


def noisy_and(p: Tensor, bags: Bags, b: Tensor | float, a: float = 7.5) -> Tensor:
    """Pool probabilities by noisy-and.

    Sigmoid of the mean probability around the threshold b with slope a, rescaled to [0, 1]:
    (N, ...) -> (B, ...).
    """
    b = torch.as_tensor(b, dtype=p.dtype)
    low = (-a * b).sigmoid()
    return ((a * (bags.mean(p) - b)).sigmoid() - low) / ((a * (1 - b)).sigmoid() - low)


POOLINGS: dict[str, Callable[[Tensor, Bags], Tensor]] = {
    "max": lambda x, bags: bags.max(x),
    "mean": lambda x, bags: bags.mean(x),
    "lse": lse,
}
"""Pooling of features by name: (N, ...) -> (B, ...)."""


def pool_probabilities(instance_logits: Tensor, sigmoids: bool, bags: Bags, pooling: str) -> Tensor:
    """Pool instance probabilities: logits (N, C) -> logits (B, C).

    Computed in logarithms, so that a probability next to 0 or 1 is not lost: log p - log (1 - p)
    for sigmoids, log p (which softmax renormalises) for exclusive classes.
    """
    if pooling == "max" and sigmoids:
        return bags.max(instance_logits)
    log_p = functional.logsigmoid(instance_logits) if sigmoids else instance_logits.log_softmax(-1)
    if pooling == "lse":
        # P = log mean exp(p), and 1 - P = -log mean exp(-(1 - p))
        log_pooled = _log_lse(log_p, bags, 1)
        if not sigmoids:
            return log_pooled
        return log_pooled - _log_lse(functional.logsigmoid(-instance_logits), bags, -1)
    if pooling == "max":
        return bags.max(log_p)
    log_mean = bags.logmeanexp(log_p)
    if not sigmoids:
        return log_mean
    return log_mean - bags.logmeanexp(functional.logsigmoid(-instance_logits))


def _log_lse(log_p: Tensor, bags: Bags, sign: int) -> Tensor:
    """Return log( sign log mean exp(sign p) ).

    Where the mean of p is close to 0, that is log mean p.
    """
    mean = bags.mean(torch.expm1(sign * log_p.exp()))
    tiny = mean.abs() < 1e-5
    return torch.where(
        tiny,
        bags.logmeanexp(log_p),
        torch.log(sign * torch.log1p(torch.where(tiny, sign * 0.5, mean))),
    )


class PoolingBaseline(PackedAggregator):
    """Base of pooling methods: projection, pooling, linear classifier.

    Subclasses pool before or after the classifier.

    Parameters
    ----------
    in_dim, n_classes, **task
        See `Aggregator`.
    hidden
        Units of the projection; None leaves features as they are.
    dropout
        Rate after the projection, in training.
    """

    pooling: ClassVar[str]
    """Name of the pooling."""

    def __init__(
        self,
        in_dim: int,
        n_classes: int,
        *,
        hidden: int | None = 512,
        dropout: float = 0.0,
        **task: Unpack[Task],
    ) -> None:
        super().__init__(in_dim, n_classes, **task)
        self.projection = projection(in_dim, hidden, dropout)
        self.classifier = nn.Linear(hidden or in_dim, n_classes)


class InstanceMax(PoolingBaseline):
    """Instance classifier, maximum of probabilities ("instance + max", Ilse et al. 2018).

    Parameters as `PoolingBaseline`.
    """

    pooling = "max"

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with instance_logits (N, C), see `PackedAggregator`."""
        instance_logits = self.classifier(self.projection(features))
        logits = pool_probabilities(instance_logits, self.sigmoids, bags, self.pooling)
        return PackedOutput(logits, self.multi_label, instance_logits=instance_logits)


class InstanceMean(InstanceMax):
    """Instance classifier, mean of probabilities ("instance + mean").

    Parameters as `PoolingBaseline`.
    """

    pooling = "mean"


class EmbeddingMax(PoolingBaseline):
    """Element-wise maximum of embeddings, then a classifier ("embedding + max").

    Parameters as `PoolingBaseline`.
    """

    pooling = "max"

    def answer(self, features: Tensor, bags: Bags) -> PackedOutput:
        """Answer with embedding (B, M), see `PackedAggregator`."""
        embedding = POOLINGS[self.pooling](self.projection(features), bags)
        return PackedOutput(self.classifier(embedding), self.multi_label, embedding=embedding)


class EmbeddingMean(EmbeddingMax):
    """Mean of embeddings, then a classifier ("embedding + mean").

    Parameters as `PoolingBaseline`.
    """

    pooling = "mean"

    def weighted_values(self, bag: Tensor) -> WeightedValues:
        """Return the logits as weighted means, see `Aggregator.weighted_values`."""

        def embed(rows: Tensor) -> tuple[Tensor, Tensor]:
            return self.projection(rows), rows.new_zeros((len(rows), 1))

        weight = self.classifier.weight[:, None]
        return values_of_linear_classifier(embed, self.instances(bag), weight, self.classifier.bias)
