"""Training of many small heads at once, as one stack of weights.

The folds of a cross-validation need one batched product where there were fifty small ones. Each
head meets its own bags in its own order with its own optimiser state, exactly as `Fitting` would
train it alone; without dropout the two agree to rounding. Bags of one step are padded to the
longest of them, so it pays where bags are small and alike in size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

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
from napari_mil.training.determinism import epoch_seed
from napari_mil.training.evaluation.folds import FoldResult, FoldTask
from napari_mil.training.evaluation.metrics import mean_auc, negative_log_likelihood
from napari_mil.training.fitting import Fitting, warm_up_weight
from napari_mil.training.network import Plan, build, scaling_of
from napari_mil.training.optimisation import make_optimiser, rate_at
from napari_mil.training.sampling import epoch_order
from napari_mil.training.store import BagStore

KINDS = (ABMIL, DSMIL, DSMILReleased, InstanceMax, InstanceMean, EmbeddingMax, EmbeddingMean)
"""Methods written over `Bags` that need no instance targets."""
LONGEST_BAG = 400
"""Instances beyond which one head keeps a core busy."""
MOST_PADDING = 10.0
"""Largest ratio of the longest bag to the mean one."""
LARGEST_HEAD = 65_000
"""Most weights of a head.

Measured over 50 heads: 4 times faster at 20 000, 3 times at 50 000, level at 220 000, where moving
the weights is what takes time.
"""
HEADS_AT_ONCE = 64
ROWS_AT_ONCE = 4096
"""Rows of all heads together while bags are classified without training."""


class PaddedBag(Bags):
    """One bag whose last rows are padding.

    Parameters
    ----------
    is_instance
        Which rows are instances, bool (N, 1); at least one is.
    """

    def __init__(self, is_instance: Tensor) -> None:
        self.is_instance = is_instance

    def softmax(self, scores: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self.is_instance, scores, -torch.inf).softmax(0)

    def weighted_sum(self, weights: Tensor, values: Tensor) -> Tensor:
        """See `Bags`."""
        return (weights.T @ values.flatten(1)).unflatten(1, values.shape[1:])[None]

    def sum(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self._mask_like(values), values, 0).sum(0, keepdim=True)

    def mean(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return self.sum(values) / self.is_instance.sum()

    def max(self, values: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self._mask_like(values), values, -torch.inf).amax(0, keepdim=True)

    def argmax(self, scores: Tensor) -> Tensor:
        """See `Bags`."""
        return torch.where(self.is_instance, scores, -torch.inf).argmax(0, keepdim=True)

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

    def _mask_like(self, values: Tensor) -> Tensor:
        return self.is_instance.reshape(-1, *(1,) * (values.ndim - 1))


class _Head(nn.Module):
    """An aggregator on one padded bag, with standardisation."""

    def __init__(self, aggregator: PackedAggregator, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(
        self, features: Tensor, is_instance: Tensor, target: Tensor, warm_up: float
    ) -> tuple[Tensor, Tensor]:
        """Return loss () and logits (C,) of one bag.

        Features (N, D), bool (N, 1) that marks instances, the target, and the weight of the loss
        by which every instance learns it.
        """
        standardised = (features - self.mean) / self.scale  # type: ignore[operator]
        output: PackedOutput = self.aggregator.answer(standardised, PaddedBag(is_instance))
        losses = self.aggregator.losses(output, target, None)
        loss = torch.stack(list(losses.values())).sum()
        if warm_up and output.instance_logits is not None:
            loss = loss + warm_up * self._shared_loss(output.instance_logits, is_instance, target)
        return loss, output.logits[0]

    def _shared_loss(self, logits: Tensor, is_instance: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss () of the instances under the target of their bag."""
        if self.aggregator.sigmoids:
            shared = target.to(logits.dtype).reshape(1, -1).expand_as(logits)
            loss = functional.binary_cross_entropy_with_logits(logits, shared, reduction="none")
        else:
            shared = target.reshape(()).expand(len(logits)).long()
            loss = functional.cross_entropy(logits, shared, reduction="none")[:, None]
        n_values = is_instance.sum() * loss.shape[1]
        return torch.where(is_instance, loss, 0).sum() / n_values


def can_fit_together(
    store: BagStore, config: TrainingConfig, plan: Plan, device: torch.device
) -> bool:
    """Say whether folds are trained together.

    Decided by the method and by sizes alone, so that figures do not depend on the machine.
    """
    is_supported = (
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
    )
    longest = max(store.sizes)
    if not is_supported or longest > min(LONGEST_BAG, MOST_PADDING * float(np.mean(store.sizes))):
        return False
    head = build(config, plan, store, None, ignore)
    return sum(weight.numel() for weight in head.parameters()) <= LARGEST_HEAD


def fit_together(
    store: BagStore,
    config: TrainingConfig,
    plan: Plan,
    start: Classifier | None,
    tasks: Sequence[FoldTask],
    cancel: CancellationToken,
    on_done: Callable[[float], None] = lambda folds: None,
) -> list[FoldResult]:
    """Train the heads of up to `HEADS_AT_ONCE` folds.

    Parameters
    ----------
    store, config, plan, start
        What the folds share.
    tasks
        The folds.
    cancel
        Token that ends the work.
    on_done
        Called with the part of folds that was finished.

    Returns
    -------
    list of FoldResult
        Results in the order of the tasks.
    """
    return _HeadStack(store, config, plan, start, tasks).fit(cancel, on_done)


@dataclass
class _Progress:
    """Best epoch of one head so far."""

    value: float = -math.inf
    epoch: int = 0
    answers: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Logits of every bag in the best epoch, (B, C)."""
    every_epoch: list[np.ndarray] = field(default_factory=list)
    """Logits of the test bags in each epoch."""
    finished: bool = False


class _HeadStack:
    """A stack of heads in training."""

    def __init__(
        self,
        store: BagStore,
        config: TrainingConfig,
        plan: Plan,
        start: Classifier | None,
        tasks: Sequence[FoldTask],
    ) -> None:
        assert config.epochs is not None
        self._store = store
        self._config = config
        self._tasks = tasks
        self._epochs = config.epochs
        self._bags_per_step = config.bags_per_step or 1
        self._fittings = [_make_fitting(store, config, plan, start, task) for task in tasks]
        heads = [_make_head(fitting) for fitting in self._fittings]
        self._head = heads[0]
        self._weights, self._buffers = stack_module_state(heads)
        self._optimiser = _StackOptimiser(config, self._weights, len(heads))
        self._sizes = torch.tensor(store.sizes)
        self._padded = torch.zeros(len(store), int(self._sizes.max()), store.dim)
        for b in range(len(store)):
            self._padded[b, : self._sizes[b]] = torch.from_numpy(store.read(b))
        self._targets = torch.from_numpy(store.cohort.targets)
        if plan.n_outputs == 1 and not store.cohort.multi_label:
            self._targets = self._targets[:, None].float()

    def fit(self, cancel: CancellationToken, on_done: Callable[[float], None]) -> list[FoldResult]:
        """Train until every head has finished."""
        n = len(self._tasks)
        progress = [_Progress() for _ in self._tasks]
        for epoch in range(self._epochs):
            torch.manual_seed(epoch_seed(self._config.seed, epoch))
            self._learn(epoch, cancel)
            answers = self._classify(cancel)
            if not np.isfinite(answers).all():
                raise TrainingError(
                    f"The weights of a fold are no numbers after epoch {epoch + 1}; "
                    "lower the learning rate, or look at the features."
                )
            for k, head_progress in enumerate(progress):
                if not head_progress.finished:
                    self._update(head_progress, k, answers[k], epoch)
            on_done(n / self._epochs)
            if all(head_progress.finished for head_progress in progress):
                on_done(n * (self._epochs - epoch - 1) / self._epochs)
                break
        return [
            _result_of(task, head_progress)
            for task, head_progress in zip(self._tasks, progress, strict=True)
        ]

    def _update(self, progress: _Progress, k: int, answers: np.ndarray, epoch: int) -> None:
        """Update the best epoch of a head, and whether it has finished."""
        fitting = self._fittings[k]
        task = self._tasks[k]
        if task.every_epoch:
            progress.every_epoch.append(answers[list(task.split.test)])
        value = self._value(fitting, answers, epoch)
        if value > progress.value:
            progress.value = value
            progress.epoch = epoch + 1
            progress.answers = answers
        patience = fitting.config.patience
        earliest_stop = fitting.config.earliest_stop or 0
        progress.finished = (
            fitting.selection != "last"
            and patience is not None
            and epoch + 1 >= earliest_stop
            and epoch + 1 - progress.epoch >= patience
        )

    def _value(self, fitting: Fitting, answers: np.ndarray, epoch: int) -> float:
        """Return the value by which epochs are compared; the largest is kept."""
        if fitting.selection == "last":
            return float(epoch)
        validation = list(fitting.split.validation)
        targets = self._store.cohort.targets[validation]
        if fitting.selection == "auc":
            area = mean_auc(targets, answers[validation])
            if not math.isnan(area):
                return area
        return -negative_log_likelihood(targets, answers[validation])

    def _learn(self, epoch: int, cancel: CancellationToken) -> None:
        """Visit the training bags of every head once."""
        orders = [
            epoch_order(fitting.config, fitting.split.training, fitting.class_weights, epoch)
            for fitting in self._fittings
        ]
        self._head.train()
        per_step = self._bags_per_step
        steps = max(math.ceil(len(order) / per_step) for order in orders)
        rate = rate_at(self._config, epoch, steps)
        for step in range(steps):
            cancel.raise_if_cancelled()
            visited = [order[step * per_step : (step + 1) * per_step] for order in orders]
            bags = torch.tensor([_fill_up(some, per_step) for some in visited])
            weights = torch.tensor(
                [
                    self._step_weights(fitting, some)
                    for fitting, some in zip(self._fittings, visited, strict=True)
                ]
            )
            features, is_instance = self._pad(bags)
            with torch.enable_grad():
                losses, _ = self._forward(
                    features, is_instance, self._targets[bags], warm_up_weight(self._config, epoch)
                )
                (losses * weights).sum().backward()
            self._optimiser.step(rate, [len(some) > 0 for some in visited])

    def _step_weights(self, fitting: Fitting, bags: np.ndarray) -> list[float]:
        """Return the weight of each bag in its step.

        0 for one that only fills a place.
        """
        weights = [0.0] * self._bags_per_step
        for j, b in enumerate(bags):
            weight = 1.0
            if self._config.class_balance == "weights":
                weight = float(fitting.class_weights[int(b)])
            weights[j] = weight / len(bags)
        return weights

    def _pad(self, bags: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of some bags, padded to the longest of them.

        Parameters
        ----------
        bags
            Numbers of K bags for each of F heads, (F, K).

        Returns
        -------
        features, is_instance : Tensor
            (F, K, N, D), and bool (F, K, N, 1).
        """
        sizes = self._sizes[bags]
        longest = int(sizes.max())
        is_instance = torch.arange(longest) < sizes[..., None]
        return self._padded[bags, :longest], is_instance[..., None]

    def _forward(
        self, features: Tensor, is_instance: Tensor, targets: Tensor, warm_up: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return losses (F, K) and logits (F, K, C).

        Of K bags for each of F heads.
        """

        def of_one_bag(
            weights: Any, buffers: Any, x: Tensor, mask: Tensor, target: Tensor
        ) -> tuple[Tensor, Tensor]:
            return functional_call(self._head, (weights, buffers), (x, mask, target, warm_up))

        of_one_head = vmap(of_one_bag, in_dims=(None, None, 0, 0, 0), randomness="different")
        of_all_heads = vmap(of_one_head, in_dims=(0, 0, 0, 0, 0), randomness="different")
        losses, logits = of_all_heads(self._weights, self._buffers, features, is_instance, targets)
        return losses, logits

    @torch.no_grad()
    def _classify(self, cancel: CancellationToken) -> np.ndarray:
        """Return the logits of every bag by every head, float64 (F, B, C)."""
        self._head.eval()
        heads = len(self._tasks)
        # Bags of similar size go together, so that little is padded.
        order = self._sizes.argsort()
        at_once = max(1, ROWS_AT_ONCE // (heads * int(self._sizes.float().mean() + 1)))
        parts = []
        for some in order.split(at_once):
            cancel.raise_if_cancelled()
            bags = some.expand(heads, -1)
            features, is_instance = self._pad(bags)
            _, logits = self._forward(features, is_instance, self._targets[bags])
            parts.append(logits)
        return torch.cat(parts, 1)[:, order.argsort()].double().numpy()


def _make_fitting(
    store: BagStore, config: TrainingConfig, plan: Plan, start: Classifier | None, task: FoldTask
) -> Fitting:
    """Return a fold as it would be trained alone."""
    fold_config = task.fold_config(config)
    torch.manual_seed(task.seed)
    network = build(fold_config, plan, store, start, ignore)
    scaling = scaling_of(start, plan)
    return Fitting(network, store, task.split, fold_config, torch.device("cpu"), scaling)


def _make_head(fitting: Fitting) -> _Head:
    assert isinstance(fitting.network, PackedAggregator)
    mean = torch.from_numpy(fitting.mean)
    scale = torch.from_numpy(fitting.scale)
    return _Head(fitting.network, mean, scale)


def _result_of(task: FoldTask, progress: _Progress) -> FoldResult:
    if task.every_epoch:
        test = np.stack(progress.every_epoch)
    else:
        test = progress.answers[list(task.split.test)][None]
    return FoldResult(test, progress.answers[list(task.split.validation)], progress.epoch)


def _fill_up(bags: np.ndarray, n: int) -> list[int]:
    """Return n numbers of bags, the last one repeated.

    Bag 0 where there is none; filled places have weight 0 in the loss.
    """
    filler = bags[-1] if len(bags) else 0
    return [*(int(b) for b in bags), *[int(filler)] * (n - len(bags))]


class _StackOptimiser:
    """Optimiser of the heads of a stack.

    Each head has parameters of its own that share the memory of the stack, so each has its own
    moments and count of steps. A head without a bag in a step is left as it is.
    """

    def __init__(self, config: TrainingConfig, stacks: Mapping[str, Tensor], heads: int) -> None:
        self._stacks = list(stacks.values())
        self._own = [[nn.Parameter(stack.data[k]) for stack in self._stacks] for k in range(heads)]
        named = [pair for own in self._own for pair in zip(stacks, own, strict=True)]
        self._optimiser = make_optimiser(config, named)
        self._clip = config.clip

    def step(self, rate: float, active: Sequence[bool]) -> None:
        """Move the weights of active heads by the gradients of the stacks."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        for k, is_active in enumerate(active):
            for stack, weight in zip(self._stacks, self._own[k], strict=True):
                weight.grad = stack.grad[k] if is_active and stack.grad is not None else None
            if is_active and self._clip is not None:
                nn.utils.clip_grad_norm_(self._own[k], self._clip)
        self._optimiser.step()
        for stack in self._stacks:
            stack.grad = None
