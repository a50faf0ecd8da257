"""Stages of a training run: a teacher first, where masked mining starts with one.

MHIM-MIL trains its base model, gives it to the teacher and its projection to the student, and then
mines. Both stages are one run here: their epochs are counted on, and a run that was interrupted in
either goes on to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from napari_mil.aggregators.mining.miner import Miner
from napari_mil.events import CancellationToken, OnEvent, ignore
from napari_mil.inference.classifier import Classifier
from napari_mil.training.config import TrainingConfig
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.fitting import ONLY_STAGE, Fitting, Row, Stage
from napari_mil.training.network import Plan, build, scaling_of
from napari_mil.training.recipes import STAGES
from napari_mil.training.store import BagStore

TEACHER = 0
"""Number of the stage that trains a teacher, where there are two."""


@dataclass(frozen=True)
class Course:
    """All stages of a run, and what they share.

    Parameters
    ----------
    store
        Bags of the cohort.
    split
        Numbers of the bags that train, choose and test.
    config
        Configuration with its recipe filled in.
    plan
        What is built.
    start
        Classifier that training starts from, or None.
    device
        Where to compute.
    on_event
        Called with what is said while a network is built.
    """

    store: BagStore
    split: Split
    config: TrainingConfig
    plan: Plan
    start: Classifier | None
    device: torch.device
    on_event: OnEvent = ignore

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each stage; one without a name where there is but one."""
        return STAGES if self.config.has_teacher_stage else ("",)

    def config_of(self, number: int) -> TrainingConfig:
        """Return the configuration of a stage, counted from 0."""
        is_teacher = len(self.names) > 1 and number == TEACHER
        return self.config.as_teacher() if is_teacher else self.config

    def fitting(self, number: int, before: Fitting | None = None) -> Fitting:
        """Set up a stage.

        Parameters
        ----------
        number
            Number of the stage, counted from 0.
        before
            The stage before it, finished; None where a state is loaded afterwards.
        """
        config = self.config_of(number)
        torch.manual_seed(config.seed)
        network = build(config, self.plan, self.store, self.start, self.on_event)
        scaling = scaling_of(self.start, self.plan)
        rows: tuple[Row, ...] = ()
        if before is not None:
            before.use_best()
            assert isinstance(network, Miner)
            network.initialise_from(before.network)
            scaling = (before.mean, before.scale)
            rows = tuple(before.history)
        stage = ONLY_STAGE
        if len(self.names) > 1:
            stage = Stage(self.names[number], number + 1, rows)
        return Fitting(network, self.store, self.split, config, self.device, scaling, stage=stage)

    def fit(
        self, cancel: CancellationToken, on_epoch: Callable[[Fitting], None] = lambda _: None
    ) -> Fitting:
        """Train all stages.

        Parameters
        ----------
        cancel
            Token that ends the work.
        on_epoch
            Called after each epoch of the last stage.

        Returns
        -------
        Fitting
            The last stage, with the weights of its last epoch.
        """
        fitting = None
        last = len(self.names) - 1
        for number in range(last + 1):
            fitting = self.fitting(number, fitting)
            while not fitting.finished:
                fitting.advance(cancel)
                if number == last:
                    on_epoch(fitting)
        assert fitting is not None
        return fitting
