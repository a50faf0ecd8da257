"""Many small heads at once: the folds of a cross-validation as one stack of weights, one batched product where there were fifty small ones.

Each head meets its own bags in its own order with its own optimiser state, exactly as `Fitting` would train it alone; without dropout the
two agree to rounding. Bags of one step are padded to the longest of them, so it pays where bags are small and alike in size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from napari_mil.aggregators.abmil import ABMIL
from napari_mil.aggregators.aggregator import PackedAggregator
from napari_mil.aggregators.dsmil import DSMIL, DSMILReleased
from napari_mil.aggregators.output import PackedOutput
from napari_mil.aggregators.packing import Attended, Bags, RowFunction
from napari_mil.aggregators.pooling import EmbeddingMax, EmbeddingMean, InstanceMax, InstanceMean
from napari_mil.aggregators.registry import aggregator_class
from napari_mil.errors import TrainingError
from napari_mil.events import CancellationToken, ignore
from napari_mil.inference.classifier import Classifier
from napari_mil.training.config import TrainingConfig
from napari_mil.training.fitting import Fitting, epoch_order, epoch_seed
from napari_mil.training.folds import FoldResult, FoldTask
from napari_mil.training.metrics import mean_auc, negative_log_likelihood
from napari_mil.training.network import Plan, build, scaling_of
from napari_mil.training.optimisation import make_optimiser, rate_at
from napari_mil.training.store import BagStore

KINDS = (ABMIL, DSMIL, DSMILReleased, InstanceMax, InstanceMean, EmbeddingMax, EmbeddingMean)
"""Methods whose loss follows from the bag's answer alone, written over `Bags`."""
LONGEST_BAG = 400
"""Instances; beyond, one head keeps a core busy by itself."""
MOST_PADDING = 10.0
"""Longest bag over the mean one."""
LARGEST_HEAD = 65_000
"""Weights. Measured over 50 heads: 4 times faster at 20 000, 3 times at 50 000, level at 220 000, where moving the weights is what takes time."""
HEADS_AT_ONCE = 64
ROWS_AT_ONCE = 4096
"""Rows of all heads together while bags are only looked at."""


class PaddedBag(Bags):
    """One bag whose last rows are padding.

    Parameters
    ----------
    there
        bool (N, 1): which rows are instances; at least one is.
    """

    def __init__(self, there: Tensor) -> None:
        self.there = there

    def softmax(self, scores: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self.there, scores, -torch.inf).softmax(0)

    def weighted_sum(self, weights: Tensor, values: Tensor) -> Tensor:
        """See `Bags`."""
        return (weights.T @ values.flatten(1)).unflatten(1, values.shape[1:])[None]

    def sum(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self._like(values), values, 0).sum(0, keepdim=True)

    def mean(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return self.sum(values) / self.there.sum()

    def max(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self._like(values), values, -torch.inf).amax(0, keepdim=True)

    def argmax(self, scores: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self.there, scores, -torch.inf).argmax(0, keepdim=True)

    def spread(self, per_bag: Tensor) -> Tensor:
        """See `Bags`."""
        return per_bag

    def products(self, rows: Tensor, per_bag: Tensor) -> Tensor:
        """See `Bags`."""
        return rows @ per_bag[0].T

    def attend(self, rows: RowFunction, features: Tensor, *along: Tensor) -> Attended:
        """See `Bags`."""
        values, scores, *more = rows(features, *along)
        attention = self.softmax(scores)
        return Attended(attention, scores, (attention.T @ values)[None], tuple(more))

    def _like(self, values: Tensor) -> Tensor:
        return self.there.reshape(-1, *(1,) * (values.ndim - 1))


class _Head(nn.Module):
    """An aggregator on one padded bag of features that are not standardised yet."""

    def __init__(self, aggregator: PackedAggregator, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, features: Tensor, there: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D), bool (N, 1), target -> loss (), logits (C,)."""
        standardised = (features - self.mean) / self.scale  # type: ignore[operator]
        output: PackedOutput = self.aggregator.answer(standardised, PaddedBag(there))
        losses = self.aggregator.losses(output, target, None)
        return torch.stack(list(losses.values())).sum(), output.logits[0]


def is_worth_it(store: BagStore, config: TrainingConfig, plan: Plan, device: torch.device) -> bool:
    """Say whether folds are trained together: decided by sizes alone, so that figures do not depend on the machine."""
    longest = max(store.sizes)
    return (
        plan.embedding == "features"
        and store.in_memory
        and config.strategy == "plain"
        and not config.alternate_streams
        and config.precision != "mixed"
        and not config.instance_dropout
        and config.class_balance != "sampling"
        and device.type == "cpu"
        and issubclass(aggregator_class(config.aggregator), KINDS)
        and not store.annotated
        and longest <= LONGEST_BAG
        and longest <= MOST_PADDING * float(np.mean(store.sizes))
        and sum(weight.numel() for weight in build(config, plan, store, None, ignore).parameters())
        <= LARGEST_HEAD
    )


def fit_together(
    store: BagStore,
    config: TrainingConfig,
    plan: Plan,
    start: Classifier | None,
    tasks: Sequence[FoldTask],
    cancel: CancellationToken,
    on_done: Callable[[float], None] = lambda folds: None,
) -> list[FoldResult]:
    """Train the heads of up to `HEADS_AT_ONCE` folds; return their answers in the order of the tasks. `on_done` is told parts of folds."""
    return _Together(store, config, plan, start, tasks).fit(cancel, on_done)


class _Together:
    """A stack of heads in training."""

    def __init__(
        self,
        store: BagStore,
        config: TrainingConfig,
        plan: Plan,
        start: Classifier | None,
        tasks: Sequence[FoldTask],
    ) -> None:
        self._store, self._config, self._tasks = store, config, tasks
        assert config.epochs is not None
        self._epochs, self._at_once = config.epochs, config.bags_per_step or 1
        heads, self._alone = [], []
        scaling = scaling_of(start, plan)
        for task in tasks:
            own = task.own(config)
            torch.manual_seed(task.seed)
            network = build(own, plan, store, start, ignore)
            assert isinstance(network, PackedAggregator)
            alone = Fitting(network, store, task.split, own, torch.device("cpu"), scaling)
            heads.append(
                _Head(network, torch.from_numpy(alone.mean), torch.from_numpy(alone.scale))
            )
            self._alone.append(alone)
        self._head = heads[0]
        self._weights, self._buffers = stack_module_state(heads)
        self._optimiser = _OptimiserOfHeads(config, self._weights, len(heads))
        sizes = torch.tensor(store.sizes)
        self._sizes = sizes
        self._padded = torch.zeros(len(sizes), int(sizes.max()), store.dim)
        for b in range(len(sizes)):
            self._padded[b, : sizes[b]] = torch.from_numpy(store.read(b))
        cohort = store.cohort
        if cohort.multi_label:
            self._targets = torch.from_numpy(cohort.targets)
        else:
            self._targets = (
                torch.from_numpy(cohort.targets)[:, None].float()
                if plan.n_outputs == 1
                else torch.from_numpy(cohort.targets)
            )

    def fit(self, cancel: CancellationToken, on_done: Callable[[float], None]) -> list[FoldResult]:
        """Train until every head has finished."""
        n = len(self._tasks)
        best: list[tuple[float, int, np.ndarray]] = [(-math.inf, 0, np.empty(0))] * n
        every: list[list[np.ndarray]] = [[] for _ in range(n)]
        over = [False] * n
        for epoch in range(self._epochs):
            torch.manual_seed(epoch_seed(self._config.seed, epoch))
            orders = [epoch_order(alone, epoch) for alone in self._alone]
            self._learn(orders, epoch, cancel)
            answers = self._look(cancel)  # (heads, bags, C)
            if not np.isfinite(answers).all():
                raise TrainingError(
                    f"The weights of a fold are no numbers after epoch {epoch + 1}; lower the learning rate, or look at the features."
                )
            for k, (task, alone) in enumerate(zip(self._tasks, self._alone, strict=True)):
                if over[k]:
                    continue
                if task.every_epoch:
                    every[k].append(answers[k][list(task.split.test)])
                value = self._value(alone, answers[k], epoch)
                if value > best[k][0]:
                    best[k] = (value, epoch + 1, answers[k])
                patience, earliest = alone.config.patience, alone.config.earliest_stop or 0
                over[k] = (
                    alone.selects != "last"
                    and patience is not None
                    and epoch + 1 >= earliest
                    and epoch + 1 - best[k][1] >= patience
                )
            on_done(n / self._epochs)
            if all(over):
                on_done(n * (self._epochs - epoch - 1) / self._epochs)
                break
        return [
            FoldResult(
                np.stack(every[k]) if task.every_epoch else best[k][2][list(task.split.test)][None],
                best[k][2][list(task.split.validation)],
                best[k][1],
            )
            for k, task in enumerate(self._tasks)
        ]

    def _value(self, alone: Fitting, answers: np.ndarray, epoch: int) -> float:
        """Return what the kept epoch has most of."""
        if alone.selects == "last":
            return float(epoch)
        validation = list(alone.split.validation)
        targets = self._store.cohort.targets[validation]
        area = mean_auc(targets, answers[validation]) if alone.selects == "auc" else math.nan
        return -negative_log_likelihood(targets, answers[validation]) if math.isnan(area) else area

    def _learn(self, orders: list[np.ndarray], epoch: int, cancel: CancellationToken) -> None:
        self._head.train()
        steps = [math.ceil(len(order) / self._at_once) for order in orders]
        rate = rate_at(self._config, epoch, max(steps))
        for step in range(max(steps)):
            cancel.raise_if_cancelled()
            visited = [order[step * self._at_once : (step + 1) * self._at_once] for order in orders]
            chosen = torch.tensor(
                [
                    [bags[min(j, len(bags) - 1)] if len(bags) else 0 for j in range(self._at_once)]
                    for bags in visited
                ]
            )
            share = torch.tensor(
                [
                    [self._share(alone, bags, j) for j in range(self._at_once)]
                    for alone, bags in zip(self._alone, visited, strict=True)
                ]
            )
            features, there = self._rows(chosen)
            with torch.enable_grad():
                losses, _ = self._all(features, there, self._targets[chosen])
                (losses * share).sum().backward()
            self._optimiser.step(rate, [len(bags) > 0 for bags in visited])

    def _share(self, alone: Fitting, bags: np.ndarray, j: int) -> float:
        """Return what a bag counts in its step: 0 for one that only fills a place."""
        if j >= len(bags):
            return 0.0
        weight = (
            float(alone.class_weights[int(bags[j])])
            if self._config.class_balance == "weights"
            else 1.0
        )
        return weight / len(bags)

    def _rows(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """(F, K) numbers of bags -> (F, K, N, D), bool (F, K, N, 1) with N the longest of them."""
        longest = int(self._sizes[chosen].max())
        return self._padded[chosen, :longest], (
            torch.arange(longest) < self._sizes[chosen][..., None]
        )[..., None]

    def _all(self, features: Tensor, there: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Losses (F, K) and logits (F, K, C) of K bags for each of F heads."""

        def one(
            weights: Any, buffers: Any, x: Tensor, mask: Tensor, target: Tensor
        ) -> tuple[Tensor, Tensor]:
            return functional_call(self._head, (weights, buffers), (x, mask, target))

        of_a_head = vmap(one, in_dims=(None, None, 0, 0, 0), randomness="different")
        losses, logits = vmap(of_a_head, in_dims=(0, 0, 0, 0, 0), randomness="different")(
            self._weights, self._buffers, features, there, targets
        )
        return losses, logits

    @torch.no_grad()
    def _look(self, cancel: CancellationToken) -> np.ndarray:
        """Return float64 (F, B, C): what every head says of every bag."""
        self._head.eval()
        heads, parts = len(self._tasks), []
        order = self._sizes.argsort()
        at_once = max(1, ROWS_AT_ONCE // (heads * int(self._sizes.float().mean() + 1)))
        for some in order.split(at_once):
            cancel.raise_if_cancelled()
            chosen = some.expand(heads, -1)
            features, there = self._rows(chosen)
            parts.append(self._all(features, there, self._targets[chosen])[1])
        return torch.cat(parts, 1)[:, order.argsort()].double().numpy()


class _OptimiserOfHeads:
    """One of torch's optimisers over the heads of a stack; a head without a bag in this step is left as it is.

    Each head has parameters of its own that share the memory of the stack, so each has its own moments and count of steps.
    """

    def __init__(self, config: TrainingConfig, stacks: Mapping[str, Tensor], heads: int) -> None:
        self._stacks = list(stacks.values())
        self._own = [[nn.Parameter(stack.data[k]) for stack in self._stacks] for k in range(heads)]
        self._optimiser = make_optimiser(
            config, [named for own in self._own for named in zip(stacks, own, strict=True)]
        )
        self._clip = config.clip

    def step(self, rate: float, active: Sequence[bool]) -> None:
        """Move the weights of active heads by the gradients of the stacks."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        for k, on in enumerate(active):
            for stack, weight in zip(self._stacks, self._own[k], strict=True):
                weight.grad = stack.grad[k] if on and stack.grad is not None else None
            if on and self._clip is not None:
                nn.utils.clip_grad_norm_(self._own[k], self._clip)
        self._optimiser.step()
        for stack in self._stacks:
            stack.grad = None
