"""Training of one network, an epoch at a time.

Everything drawn in an epoch follows from (seed, epoch), so that a run that was interrupted between
two epochs goes on to the same bits.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from napari_mil.training.determinism import epoch_seed
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.evaluation.metrics import auc, mean_auc, negative_log_likelihood
from napari_mil.training.memory import memory_budget
from napari_mil.training.optimisation import clipped_parts, make_optimiser, rate_at
from napari_mil.training.relevance import relevance
from napari_mil.training.sampling import class_weights, epoch_order
from napari_mil.training.scaling import fit_scaling
from napari_mil.training.store import BagStore
from napari_mil.training.work_folder import SECONDS

Row = dict[str, float | None]
"""One line of ``history.csv``."""
LOSS = "loss"
VALIDATION_LOSS = "validation_loss"
VALIDATION_AUC = "validation_auc"
RATE = "learning_rate"
MASKED = "mask_ratio"
TILE_AUC = "tile_auc"
WARM_UP = "warm-up"
"""Term of the loss by which every instance learns the label of its bag."""
STAGE = "stage"
"""Number of the stage of a run that has several, counted from 1."""


@dataclass(frozen=True)
class Stage:
    """Place of a fitting among the stages of its run."""

    name: str
    """Name of the stage; empty where it is the only one."""
    number: int
    """Counted from 1; 0 for the only stage of a run."""
    earlier: tuple[Row, ...] = ()
    """Rows of the stages before it."""


ONLY_STAGE = Stage("", 0)


@dataclass
class Best:
    """Best epoch so far."""

    epoch: int
    value: float
    """AUC on validation bags, or minus the loss there."""
    state: dict[str, Tensor]


class Fitting:
    """Trains a network, an epoch at a time.

    Parameters
    ----------
    network
        Network with fresh weights, or with those to go on from.
    store
        Bags of the cohort.
    split
        Numbers of the bags that train, choose and test.
    config
        Configuration with its recipe filled in.
    device
        Where to compute.
    scaling
        Mean and scale of features, float32 (D,); by default those of the training bags.
    stage
        Its place in a run of several stages, whose epochs are counted on.
    """

    def __init__(
        self,
        network: Aggregator,
        store: BagStore,
        split: Split,
        config: TrainingConfig,
        device: torch.device,
        scaling: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        stage: Stage = ONLY_STAGE,
    ) -> None:
        assert config.epochs is not None
        self.stage = stage
        self.network = network.to(device)
        self.store = store
        self.split = split
        self.config = config
        self.device = device
        self.epochs: int = config.epochs
        if scaling is None:
            scaling = fit_scaling(store, split.training, config, network.in_dim)
        self.mean, self.scale = scaling
        learning = [
            (name, weight) for name, weight in network.named_parameters() if weight.requires_grad
        ]
        self.optimiser = make_optimiser(config, learning)
        self._clipped_parts = clipped_parts(config, learning)
        self.epoch = 0
        self.history: list[Row] = list(stage.earlier)
        self.best: Best | None = None
        self.class_weights = class_weights(store.cohort, split.training, config)
        self._mean = torch.from_numpy(self.mean).to(device)
        self._scale = torch.from_numpy(self.scale).to(device)
        self._instance_targets = {
            b: store.targets_of_instances(b)
            for b in (*split.training, *split.validation, *split.test)
        }
        self._bags: dict[int, Tensor] = {}
        # Scaled bags are held beside the store's own, where both fit into memory.
        self._holds_bags = store.in_memory and 2 * store.bytes <= memory_budget(config)

    @property
    def selection(self) -> str:
        """How the epoch is chosen: ``loss``, ``auc`` or ``last``."""
        if not self.split.validation:
            return "last"
        if self.config.select != "auto":
            return self.config.select
        n_bags = len(self.split.training) + len(self.split.validation)
        return "loss" if n_bags >= FEWEST_TO_SELECT else "last"

    @property
    def epochs_before(self) -> int:
        """Epochs of the stages before it."""
        return len(self.history) - self.epoch

    @property
    def _steps(self) -> int:
        """Steps of the optimiser in an epoch."""
        return math.ceil(len(self.split.training) / (self.config.bags_per_step or 1))

    @property
    def finished(self) -> bool:
        """Whether all epochs are over, or validation stopped improving.

        The latter after `TrainingConfig.patience` epochs without improvement.
        """
        if self.epoch >= self.epochs:
            return True
        if self.selection == "last" or self.best is None or self.config.patience is None:
            return False
        return (
            self.epoch >= (self.config.earliest_stop or 0)
            and self.epoch - self.best.epoch >= self.config.patience
        )

    def advance(self, cancel: CancellationToken) -> Row:
        """Train one epoch and evaluate the validation bags.

        An epoch that is cancelled changes no state that a checkpoint holds.

        Returns
        -------
        dict
            The line of the epoch in ``history.csv``.

        Raises
        ------
        CancelledError
            If it was cancelled.
        TrainingError
            If the loss, a gradient or a weight is no number.
        """
        began = time.monotonic()
        epoch = self.epoch
        torch.manual_seed(epoch_seed(self.config.seed, epoch))
        order = epoch_order(self.config, self.split.training, self.class_weights, epoch)
        rate = rate_at(self.config, epoch, self._steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        means = self._learn(order, epoch, cancel)
        self._check_weights(epoch)
        row = self._row(epoch, rate, means, cancel)
        row[SECONDS] = round(time.monotonic() - began, 3)
        self.epoch += 1
        self.history.append(row)
        self._update_best(row)
        return row

    def _row(
        self, epoch: int, rate: float, means: Mapping[str, float], cancel: CancellationToken
    ) -> Row:
        """Return the line of an epoch in ``history.csv``."""
        row: Row = {"epoch": self.epochs_before + epoch + 1, LOSS: means[LOSS]}
        if self.stage.number:
            row[STAGE] = self.stage.number
        terms = sorted(set(means) - {LOSS, MASKED})
        row |= {f"loss: {term}": means[term] for term in terms}
        validation = self.split.validation
        if validation:
            logits = self.logits(validation, cancel)
            targets = self.store.cohort.targets[list(validation)]
            area = mean_auc(targets, logits)
            row[VALIDATION_LOSS] = negative_log_likelihood(targets, logits)
            row[VALIDATION_AUC] = None if math.isnan(area) else area
        row[RATE] = rate
        if MASKED in means:
            row[MASKED] = means[MASKED]
        tile_auc = self.overlay_auc(validation)
        if tile_auc is not None:
            row[TILE_AUC] = tile_auc
        return row

    @torch.no_grad()
    def logits(self, bags: Sequence[int], cancel: CancellationToken | None = None) -> np.ndarray:
        """Return the logits of some bags, float64 (B, C), in evaluation mode.

        Two outputs of two exclusive classes are told as one, (B, 1): their difference, whose
        sigmoid is the softmax of the second.
        """
        self.network.eval()
        rows = []
        for b in bags:
            if cancel is not None:
                cancel.raise_if_cancelled()
            rows.append(self.network(self.bag(b)).logits.float().cpu().numpy())
        logits = np.stack(rows) if rows else np.empty((0, self.network.n_classes))
        if self.network.n_classes == 2 and not self.network.multi_label:
            logits = logits[:, 1:] - logits[:, :1]
        return logits.astype(np.float64)

    @torch.no_grad()
    def watch(self, values: np.ndarray) -> Watched:
        """Classify a bag with the weights of this epoch.

        The random state of training is left as it is.

        Parameters
        ----------
        values
            Features, float32 (N, D), or images, uint8 (N, H, W, 3).
        """
        self.network.eval()
        bag = self._to_input(values)
        output: BagOutput = self.network(bag)
        shown, kind = relevance(output)
        masks: Mapping[str, Tensor] = {}
        if isinstance(self.network, Miner):
            state = torch.get_rng_state()
            masks = self.network.masks(bag)
            torch.set_rng_state(state)
        return Watched(
            shown,
            kind,
            output.probabilities().float().cpu().numpy(),
            {name: mask.cpu().numpy() for name, mask in masks.items()},
        )

    @torch.no_grad()
    def overlay_auc(self, bags: Sequence[int]) -> float | None:
        """Return the mean AUC of the overlay on annotated tiles.

        The area is computed within each bag that has both kinds of tiles, then averaged over bags;
        None without any.
        """
        self.network.eval()
        areas = []
        for b in bags:
            target = self._instance_targets.get(b)
            if target is None or not _has_both_kinds(target):
                continue
            values, _ = relevance(self.network(self.bag(b)))
            known = ~np.isnan(target)
            areas.append(auc(target[known], values[known]))
        return float(np.mean(areas)) if areas else None

    def use_best(self) -> int:
        """Load the weights of the chosen epoch; return its number in the run."""
        if self.best is not None:
            self.network.load_state_dict(self.best.state)
        self.network.eval()
        return self.epochs_before + (self.best.epoch if self.best is not None else self.epoch)

    def state(self) -> dict[str, Any]:
        """Return tensors, numbers and texts from which training goes on."""
        best = None
        if self.best is not None:
            best = {"epoch": self.best.epoch, "value": self.best.value, "state": self.best.state}
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
        """Load a state that `state` returned."""
        self.epoch = int(state["epoch"])
        self.history = list(state["history"])
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best = None if state["best"] is None else Best(**state["best"])
        self.mean = state["mean"].numpy()
        self.scale = state["scale"].numpy()
        self._mean = state["mean"].to(self.device)
        self._scale = state["scale"].to(self.device)

    def bag(self, b: int) -> Tensor:
        """Return a bag as the network takes it, on its device."""
        if b in self._bags:
            return self._bags[b]
        bag = self._to_input(self.store.read(b))
        if self._holds_bags:
            self._bags[b] = bag
        return bag

    def _to_input(self, values: np.ndarray) -> Tensor:
        """Turn images into the network's range, or standardise features."""
        if values.dtype == np.uint8:
            return as_input(torch.tensor(values).to(self.device), self.network.in_dim)
        tensor = torch.from_numpy(np.asarray(values)).to(self.device)
        shape = (-1, *(1,) * (tensor.ndim - 2))
        return (tensor - self._mean.reshape(shape)) / self._scale.reshape(shape)

    def _learn(self, order: np.ndarray, epoch: int, cancel: CancellationToken) -> dict[str, float]:
        """Visit the training bags once; return the mean loss terms."""
        network = self.network
        network.train()
        bags_per_step = self.config.bags_per_step or 1
        steps = self._steps
        sums: dict[str, float] = defaultdict(float)
        for step in range(steps):
            visited = order[step * bags_per_step : (step + 1) * bags_per_step]
            if isinstance(network, Miner):
                network.advance(epoch * steps + step, self.epochs * steps)
            self.optimiser.zero_grad(set_to_none=True)
            for b in visited:
                cancel.raise_if_cancelled()
                loss = self._visit(int(b), epoch, sums) / len(visited)
                if loss.requires_grad:
                    loss.backward()
            self._clip_gradients(visited, epoch)
            self.optimiser.step()
            if isinstance(network, Miner):
                network.update_teacher()
        return {name: value / len(order) for name, value in sums.items()}

    def _clip_gradients(self, visited: np.ndarray, epoch: int) -> None:
        """Clip the gradients of a step.

        Raises
        ------
        TrainingError
            If a gradient is no number: the weights would not be numbers either.
        """
        gradients = [weight.grad for weight in self.network.parameters() if weight.grad is not None]
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            names = ", ".join(self.store.cohort.bags[int(b)].path.name for b in visited[:3])
            raise TrainingError(
                f"The gradient of {names} is no number in epoch {epoch + 1}; {self._remedy()}"
            )
        if self.config.clip is not None:
            for part in self._clipped_parts:
                torch.nn.utils.clip_grad_norm_(part, self.config.clip)

    def _check_weights(self, epoch: int) -> None:
        if not all(torch.isfinite(weight).all() for weight in self.network.parameters()):
            raise TrainingError(
                f"The weights are no numbers after epoch {epoch + 1}; {self._remedy()}"
            )

    def _remedy(self) -> str:
        checkpoint = f" The checkpoint of epoch {self.epoch} is whole." if self.epoch else ""
        return f"lower the learning rate, or look at the features.{checkpoint}"

    def _visit(self, b: int, epoch: int, sums: dict[str, float]) -> Tensor:
        """Return the loss of a bag; add its terms to sums."""
        bag, instance_target = self._drop_instances(self.bag(b), self._known_instances(b))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            output: BagOutput = self.network(bag, self._target(b), instance_target)
            terms = dict(self._terms(output.losses, epoch))
            warm_up = warm_up_weight(self.config, epoch)
            scored = output.instance_logits
            scored = output.warm_up_logits if scored is None else scored
            if warm_up and scored is not None:
                terms[WARM_UP] = warm_up * self.network.shared_loss(scored, self._target(b))
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        if not torch.isfinite(loss):
            values = ", ".join(f"{name} {term.item():g}" for name, term in terms.items())
            raise TrainingError(
                f"The loss of {self.store.cohort.bags[b].path.name} is no number "
                f"in epoch {epoch + 1} ({values}); {self._remedy()}"
            )
        sums[LOSS] += loss.item()
        for name, term in terms.items():
            sums[name] += term.item()
        if output.masks:
            masked = torch.stack(list(output.masks.values())).any(0)
            sums[MASKED] += float(masked.float().mean())
        if self.config.class_balance == "weights":
            loss = loss * float(self.class_weights[b])
        return loss

    def _known_instances(self, b: int) -> Tensor | None:
        """Return the targets of a bag's instances, or None."""
        target = self._instance_targets.get(b)
        if target is None or not self.config.instance_labels:
            return None
        return torch.from_numpy(target).to(self.device)

    def _drop_instances(
        self, bag: Tensor, instance_target: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Leave out a random share of the instances."""
        share = self.config.instance_dropout
        if not share:
            return bag, instance_target
        n_left = max(1, round(len(bag) * (1 - share)))
        left = torch.randperm(len(bag))[:n_left].sort().values.to(bag.device)
        return bag[left], None if instance_target is None else instance_target[left]

    def _terms(self, losses: Mapping[str, Tensor], epoch: int) -> Mapping[str, Tensor]:
        """Return the terms of the loss that count in an epoch.

        With alternating streams, the instance stream counts in even epochs, the bag stream in odd
        ones, each twice.
        """
        if not self.config.alternate_streams:
            return losses
        left_out = BAG_STREAM if epoch % 2 == 0 else INSTANCE_STREAM
        return {
            name: 2 * loss if name in (BAG_STREAM, INSTANCE_STREAM) else loss
            for name, loss in losses.items()
            if name != left_out
        }

    def _target(self, b: int) -> Tensor:
        target = self.store.cohort.targets[b]
        if self.store.cohort.multi_label:
            return torch.from_numpy(np.asarray(target))
        if self.network.n_classes == 1:
            return torch.tensor([float(target)])
        return torch.tensor(int(target))

    @property
    def _mixed(self) -> bool:
        """Whether bfloat16 is used where it is safe."""
        if self.config.precision == "auto":
            return self.device.type == "cuda"
        return self.config.precision == "mixed"

    def _update_best(self, row: Row) -> None:
        """Copy the weights of the best epoch, where one is chosen."""
        if self.selection == "last":
            self.best = None
            return
        # Where the validation bags lack a class no AUC exists; the loss then decides.
        area = row[VALIDATION_AUC] if self.selection == "auc" else None
        value = -float(row[VALIDATION_LOSS] or 0.0) if area is None else float(area)
        if self.best is None or value > self.best.value:
            self.best = Best(self.epoch, value, deepcopy(self.network.state_dict()))


def warm_up_weight(config: TrainingConfig, epoch: int) -> float:
    """Return the weight of the warm-up's loss in an epoch, counted from 0.

    It falls from 1 to 0 in equal steps.
    """
    epochs = config.warm_up or 0
    return max(0.0, 1 - epoch / epochs) if epochs else 0.0


def _has_both_kinds(target: np.ndarray) -> bool:
    """Say whether known tiles are of both classes of two."""
    if target.ndim != 1 or target.dtype != np.float32:
        return False
    return len(np.unique(target[~np.isnan(target)])) == 2
