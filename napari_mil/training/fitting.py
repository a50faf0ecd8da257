"""One network, its training bags and the bags that choose its epoch: the loop itself, an epoch at a time.

Everything drawn in an epoch follows from (seed, epoch), so that a run that was interrupted between two epochs goes on to the same bits.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_mil.aggregators import Aggregator, BagOutput
from napari_mil.aggregators.dsmil import BAG_STREAM, INSTANCE_STREAM
from napari_mil.aggregators.mining.miner import Miner
from napari_mil.errors import TrainingError
from napari_mil.events import CancellationToken, Watched
from napari_mil.networks import as_input
from napari_mil.training.config import FEWEST_TO_SELECT, TrainingConfig
from napari_mil.training.metrics import auc, mean_auc, negative_log_likelihood
from napari_mil.training.optimisation import clipped_parts, make_optimiser, rate_at
from napari_mil.training.store import BagStore, memory_budget, standardisation

Row = dict[str, float | None]
"""One line of ``history.csv``."""
LOSS, VALIDATION_LOSS, VALIDATION_AUC, RATE, MASKED, TILE_AUC = (
    "loss",
    "validation_loss",
    "validation_auc",
    "learning_rate",
    "mask_ratio",
    "tile_auc",
)


@dataclass(frozen=True)
class Split:
    """Which bags of a store teach, choose and judge."""

    training: tuple[int, ...]
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()


@dataclass
class Best:
    """The epoch that is kept so far."""

    epoch: int
    value: float
    state: dict[str, Tensor]


class Fitting:
    """Trains a network.

    Parameters
    ----------
    network
        Fresh, or with the weights to go on from.
    store
        The bags.
    split
        Which of them teach and choose.
    config
        With its recipe filled in.
    device
        Where to compute.
    scaling
        Mean and scale, float32 (D,), where they are given; by default of the training bags.
    """

    def __init__(
        self,
        network: Aggregator,
        store: BagStore,
        split: Split,
        config: TrainingConfig,
        device: torch.device,
        scaling: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self.network, self.store, self.split, self.config, self.device = (
            network.to(device),
            store,
            split,
            config,
            device,
        )
        assert config.epochs is not None
        self.epochs: int = config.epochs
        self.mean, self.scale = scaling if scaling is not None else self._scaling()
        learning = [
            (name, weight) for name, weight in network.named_parameters() if weight.requires_grad
        ]
        self.optimiser = make_optimiser(config, learning)
        self._clipped = clipped_parts(config, learning)
        self.epoch = 0
        self.history: list[Row] = []
        self.best: Best | None = None
        self._bags: dict[int, Tensor] = {}
        self._keeps = store.in_memory and 2 * store.bytes <= memory_budget(
            config
        )  # beside the store's own
        self.class_weights = self._class_weights()
        self._mean, self._scale = (
            torch.from_numpy(values).to(device) for values in (self.mean, self.scale)
        )
        self._instance_targets = {
            b: store.targets_of_instances(b)
            for b in (*split.training, *split.validation, *split.test)
        }

    @property
    def selects(self) -> str:
        """How the epoch is chosen: ``loss``, ``auc`` or ``last``."""
        if not self.split.validation:
            return "last"
        if self.config.select != "auto":
            return self.config.select
        return (
            "loss"
            if len(self.split.training) + len(self.split.validation) >= FEWEST_TO_SELECT
            else "last"
        )

    @property
    def _steps(self) -> int:
        """Steps of the optimiser in an epoch."""
        return math.ceil(len(self.split.training) / (self.config.bags_per_step or 1))

    @property
    def finished(self) -> bool:
        """Whether all epochs are over, or validation has not improved for as long as `patience` says."""
        if self.epoch >= self.epochs:
            return True
        if self.selects == "last" or self.best is None or self.config.patience is None:
            return False
        return (
            self.epoch >= (self.config.earliest_stop or 0)
            and self.epoch - self.best.epoch >= self.config.patience
        )

    def advance(self, cancel: CancellationToken) -> Row:
        """Train one epoch and look at the validation bags; nothing has changed if it is cancelled and started again from a checkpoint."""
        began = time.monotonic()
        epoch = self.epoch
        torch.manual_seed(epoch_seed(self.config.seed, epoch))
        order = epoch_order(self, epoch)
        rate = rate_at(self.config, epoch, self._steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        sums = self._learn(order, epoch, cancel)
        row: Row = {"epoch": epoch + 1, LOSS: sums.pop(LOSS)}
        row |= {f"loss: {term}": value for term, value in sorted(sums.items()) if term != MASKED}
        self.network.eval()
        if not all(torch.isfinite(weight).all() for weight in self.network.parameters()):
            raise TrainingError(
                f"The weights are no numbers after epoch {epoch + 1}; {self._remedy()}"
            )
        if self.split.validation:
            logits = self.logits(self.split.validation, cancel)
            targets = self.store.cohort.targets[list(self.split.validation)]
            row[VALIDATION_LOSS] = negative_log_likelihood(targets, logits)
            row[VALIDATION_AUC] = _or_none(mean_auc(targets, logits))
        row[RATE] = rate
        if MASKED in sums:
            row[MASKED] = sums[MASKED]
        if (tile_auc := self.overlay_auc(self.split.validation)) is not None:
            row[TILE_AUC] = tile_auc
        row["seconds"] = round(time.monotonic() - began, 3)
        self.epoch += 1
        self.history.append(row)
        self._remember(row)
        return row

    @torch.no_grad()
    def logits(self, bags: Sequence[int], cancel: CancellationToken | None = None) -> np.ndarray:
        """Return float64 (B, C) of some bags, in evaluation mode."""
        self.network.eval()
        rows = []
        for b in bags:
            if cancel is not None:
                cancel.raise_if_cancelled()
            rows.append(self.network(self.bag(b)).logits.float().cpu().numpy())
        return np.stack(rows).astype(np.float64) if rows else np.empty((0, self.network.n_classes))

    @torch.no_grad()
    def watch(self, values: np.ndarray) -> Watched:
        """Say what the model of this epoch sees in a bag, float32 (N, D) or uint8 images; draws nothing that training would miss."""
        self.network.eval()
        bag = self._ready(values)
        output: BagOutput = self.network(bag)
        shown, what = relevance(output)
        masks: Mapping[str, Tensor] = {}
        if isinstance(self.network, Miner):
            state = torch.get_rng_state()
            masks = self.network.masks(bag)
            torch.set_rng_state(state)
        return Watched(
            shown,
            what,
            output.probabilities().float().cpu().numpy(),
            {kind: mask.cpu().numpy() for kind, mask in masks.items()},
        )

    @torch.no_grad()
    def overlay_auc(self, bags: Sequence[int]) -> float | None:
        """Return how well the overlay finds annotated tiles: the AUC of tiles within each bag that has both kinds, averaged; None without any."""
        self.network.eval()
        areas = []
        for b in bags:
            target = self._instance_targets.get(b)
            if (
                target is None
                or target.ndim != 1
                or target.dtype != np.float32
                or len(np.unique(target[~np.isnan(target)])) < 2
            ):
                continue
            values, _ = relevance(self.network(self.bag(b)))
            known = ~np.isnan(target)
            areas.append(auc(target[known], values[known]))
        return float(np.mean(areas)) if areas else None

    def use_best(self) -> int:
        """Put the weights of the chosen epoch in place; return its number, counted from 1."""
        if self.best is not None:
            self.network.load_state_dict(self.best.state)
        self.network.eval()
        return self.best.epoch if self.best is not None else self.epoch

    def state(self) -> dict[str, Any]:
        """Return all that going on from here needs: tensors, numbers and texts."""
        best = (
            None
            if self.best is None
            else {"epoch": self.best.epoch, "value": self.best.value, "state": self.best.state}
        )
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": best,
            "history": self.history,
            "mean": torch.from_numpy(self.mean),
            "scale": torch.from_numpy(self.scale),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.history = int(state["epoch"]), list(state["history"])
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best = None if state["best"] is None else Best(**state["best"])
        self.mean, self.scale = state["mean"].numpy(), state["scale"].numpy()
        self._mean, self._scale = state["mean"].to(self.device), state["scale"].to(self.device)

    def bag(self, b: int) -> Tensor:
        """Return a bag as the network takes it, on its device."""
        if b in self._bags:
            return self._bags[b]
        ready = self._ready(self.store.read(b))
        if self._keeps:
            self._bags[b] = ready
        return ready

    def _ready(self, values: np.ndarray) -> Tensor:
        if values.dtype == np.uint8:
            return as_input(torch.tensor(values).to(self.device), self.network.in_dim)
        tensor = torch.from_numpy(np.asarray(values)).to(self.device)
        shape = (-1, *(1,) * (tensor.ndim - 2))
        return (tensor - self._mean.reshape(shape)) / self._scale.reshape(shape)

    def _scaling(self) -> tuple[np.ndarray, np.ndarray]:
        plain = np.zeros(self.network.in_dim, np.float32), np.ones(self.network.in_dim, np.float32)
        if not self.config.standardise or (
            self.store.instances.trained
            and self.store.read(self.split.training[0]).dtype == np.uint8
        ):
            return plain
        return standardisation(_Bags(self.store, self.split.training))

    def _class_weights(self) -> np.ndarray:
        """Return the weight of each bag of the store: inverse to how often its class is among the training bags; 1 on average."""
        cohort, training = self.store.cohort, self.split.training
        weights = np.ones(len(cohort.bags))
        if self.config.class_balance == "none":
            return weights
        counts = Counter(label for b in training for label in cohort.bags[b].labels)
        for b, bag in enumerate(cohort.bags):
            weights[b] = np.mean(
                [1 / max(1, counts[label]) for label in bag.labels] or [1 / len(training)]
            )
        return weights / weights[list(training)].mean()

    def _learn(self, order: np.ndarray, epoch: int, cancel: CancellationToken) -> dict[str, float]:
        """Visit the training bags once; return the mean of every term of the loss."""
        network, config = self.network, self.config
        network.train()
        at_once = config.bags_per_step or 1
        steps = self._steps
        sums: dict[str, float] = defaultdict(float)
        for step in range(steps):
            visited = order[step * at_once : (step + 1) * at_once]
            if isinstance(network, Miner):
                network.advance(epoch * steps + step, self.epochs * steps)
            self.optimiser.zero_grad(set_to_none=True)
            for b in visited:
                cancel.raise_if_cancelled()
                loss = self._visit(int(b), epoch, sums) / len(visited)
                if loss.requires_grad:
                    loss.backward()
            self._check_gradients(visited, epoch)
            self.optimiser.step()
            if isinstance(network, Miner):
                network.update_teacher()
        return {name: value / len(order) for name, value in sums.items()}

    def _check_gradients(self, visited: np.ndarray, epoch: int) -> None:
        """Clip the gradients of a step, and stop where they are no numbers: the weights would not be either."""
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            names = ", ".join(self.store.cohort.bags[int(b)].path.name for b in visited[:3])
            raise TrainingError(
                f"The gradient of {names} is no number in epoch {epoch + 1}; {self._remedy()}"
            )
        if self.config.clip is not None:
            for part in self._clipped:
                torch.nn.utils.clip_grad_norm_(part, self.config.clip)

    def _remedy(self) -> str:
        kept = f" The checkpoint of epoch {self.epoch} is whole." if self.epoch else ""
        return f"lower the learning rate, or look at the features.{kept}"

    def _visit(self, b: int, epoch: int, sums: dict[str, float]) -> Tensor:
        bag, target = self.bag(b), self._target(b)
        instance_target = self._instance_targets.get(b) if self.config.instance_labels else None
        known = (
            None if instance_target is None else torch.from_numpy(instance_target).to(self.device)
        )
        if self.config.instance_dropout:
            kept = (
                torch.randperm(len(bag))[
                    : max(1, round(len(bag) * (1 - self.config.instance_dropout)))
                ]
                .sort()
                .values.to(bag.device)
            )
            bag, known = bag[kept], None if known is None else known[kept]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            output: BagOutput = self.network(bag, target, known)
            terms = self._terms(output.losses, epoch)
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        if not torch.isfinite(loss):
            broken = ", ".join(f"{name} {term.item():g}" for name, term in terms.items())
            raise TrainingError(
                f"The loss of {self.store.cohort.bags[b].path.name} is no number in epoch {epoch + 1} ({broken}); {self._remedy()}"
            )
        sums[LOSS] += loss.item()
        for name, term in terms.items():
            sums[name] += term.item()
        if output.masks:
            sums[MASKED] += float(torch.stack(list(output.masks.values())).any(0).float().mean())
        if self.config.class_balance == "weights":
            loss = loss * float(self.class_weights[b])
        return loss

    def _terms(self, losses: Mapping[str, Tensor], epoch: int) -> Mapping[str, Tensor]:
        """With alternating streams, leave out the other one's loss: instance stream first."""
        if not self.config.alternate_streams:
            return losses
        other = BAG_STREAM if epoch % 2 == 0 else INSTANCE_STREAM
        return {
            name: 2 * loss if name in (BAG_STREAM, INSTANCE_STREAM) else loss
            for name, loss in losses.items()
            if name != other
        }

    def _target(self, b: int) -> Tensor:
        target = self.store.cohort.targets[b]
        if self.store.cohort.multi_label:
            return torch.from_numpy(np.asarray(target))
        return (
            torch.tensor([float(target)])
            if self.network.n_classes == 1
            else torch.tensor(int(target))
        )

    @property
    def _mixed(self) -> bool:
        return self.config.precision == "mixed" or (
            self.config.precision == "auto" and self.device.type == "cuda"
        )

    def _remember(self, row: Row) -> None:
        """Keep the weights of the best epoch; the last one's where nothing is chosen."""
        if self.selects == "last":
            self.best = None
            return
        # Where a fold leaves one class no AUC exists; the loss then decides.
        area = row[VALIDATION_AUC] if self.selects == "auc" else None
        value = -float(row[VALIDATION_LOSS] or 0.0) if area is None else float(area)
        if self.best is None or value > self.best.value:
            self.best = Best(self.epoch, value, deepcopy(self.network.state_dict()))


class _Bags(Sequence[np.ndarray]):
    """Some bags of a store, read when they are looked at."""

    def __init__(self, store: BagStore, chosen: Sequence[int]) -> None:
        self._store, self._chosen = store, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, k: Any) -> Any:
        return self._store.read(self._chosen[k])


def relevance(output: BagOutput) -> tuple[np.ndarray, str]:
    """Return one value per instance in [0, 1] and what it is: the probability of the positive (or likeliest) class, or a rank of attention."""
    if output.instance_logits is not None:
        logits = output.instance_logits.float()
        several = logits.shape[1] > 1
        link = logits.softmax(1) if several and not output.multi_label else logits.sigmoid()
        column = int(output.logits.argmax()) if several else 0
        return link[:, column].cpu().numpy(), "score"
    values, what = (
        (output.attention, "attention")
        if output.attention is not None
        else (output.scores, "attention")
    )
    if values is None:
        if output.similarity is None:
            return np.zeros(0, np.float32), ""
        values, what = output.similarity[:, None], "similarity"
    column = int(output.logits.argmax()) if values.shape[1] == len(output.logits) else 0
    ranks = values[:, column].float().argsort(stable=True).argsort().float()
    return (ranks / max(1, len(ranks) - 1)).cpu().numpy(), what


@contextmanager
def deterministic(config: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Compute so that the same seed gives the same bits: fixed threads on the CPU, deterministic kernels on a GPU; put back afterwards."""
    threads, before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(config.threads or threads)
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    filling: Any = torch.utils.deterministic  # a module of properties
    filled, filling.fill_uninitialized_memory = (
        filling.fill_uninitialized_memory,
        False,
    )  # nothing reads it
    try:
        yield
    finally:
        filling.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(before)
        torch.set_num_threads(threads)


def epoch_seed(seed: int, epoch: int) -> int:
    """Return what torch is seeded with at the start of an epoch."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def epoch_order(fitting: Fitting, epoch: int) -> np.ndarray:
    """Return the training bags in the order of an epoch; drawn with replacement, rare classes more often, where sampling balances them."""
    random = np.random.default_rng((fitting.config.seed, epoch))
    training = np.array(fitting.split.training)
    if fitting.config.class_balance != "sampling":
        return random.permutation(training)
    share = fitting.class_weights[training]
    return random.choice(training, len(training), p=share / share.sum())


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
