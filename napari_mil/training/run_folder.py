"""Folder of one training run: configuration, history and the last checkpoint."""

from __future__ import annotations

from pathlib import Path

from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.training.config import MACHINE_FIELDS, MEMORY_FIELDS, TrainingConfig, read_config
from napari_mil.training.layout import (
    CHECKPOINT,
    CLASSIFIER,
    COHORT,
    CONFIG,
    EVALUATION,
    FOLDS,
    HISTORY,
    is_finished,
    is_unfinished,
)
from napari_mil.training.work_folder import WorkFolder

MOVABLE_FIELDS = {"memory_gb", "device"}
"""Fields that may change when a run is resumed."""


class RunFolder(WorkFolder):
    """Folder of one training run.

    Parameters
    ----------
    path
        Folder, made when something is written.
    """

    results = (CHECKPOINT, CLASSIFIER, EVALUATION, FOLDS)
    beginnings = (CONFIG, COHORT)

    @property
    def config(self) -> Path:
        """File of the configuration."""
        return self.path / CONFIG

    @property
    def classifier(self) -> Path:
        """Folder of the bundle, there once the run has finished."""
        return self.path / CLASSIFIER

    @property
    def finished(self) -> bool:
        """Whether there is a classifier."""
        return is_finished(self.path)

    @property
    def started(self) -> bool:
        """Whether the folder holds a run with a checkpoint or a classifier."""
        return self.config.is_file() and (self.finished or is_unfinished(self.path))

    def begin(self, config: TrainingConfig, asked: set[str], resume: bool) -> TrainingConfig:
        """Write the configuration, or read that of the run to resume.

        Parameters
        ----------
        config
            Configuration of a new run.
        asked
            Fields that were set on purpose; a run that is resumed keeps all others as they were.
        resume
            Whether to go on with the run that is there.

        Returns
        -------
        TrainingConfig
            Configuration of the run.

        Raises
        ------
        TrainingError
            If the folder holds a run and `resume` is false, the run was started with other values
            of the fields asked for, or the folder holds files of another origin.
        """
        if not self.started:
            self._check_ownership()
            self.write(CONFIG, config.as_json())
            return config
        if not resume:
            raise TrainingError(
                f"{self.path} holds a run already; resume it, or choose another folder."
            )
        before = read_config(self.config)
        self._check_same_settings(before, config, asked)
        renewed = before.model_copy(
            update={name: getattr(config, name) for name in asked & MOVABLE_FIELDS}
        )
        if renewed != before:
            self.write(CONFIG, renewed.as_json())
        return renewed

    def _check_same_settings(
        self, before: TrainingConfig, now: TrainingConfig, asked: set[str]
    ) -> None:
        undecided = {name for name in MEMORY_FIELDS if getattr(now, name) in (None, "auto")}
        compared = sorted(asked - (MACHINE_FIELDS - {"threads"}) - undecided)
        differences = [
            f"{name} {getattr(before, name)!r}, now {getattr(now, name)!r}"
            for name in compared
            if getattr(before, name) != getattr(now, name)
        ]
        if differences:
            raise TrainingError(
                f"The run in {self.path.name} was started with {'; '.join(differences[:3])}; "
                "resume it with the same settings, or choose another folder."
            )

    def _check_ownership(self) -> None:
        """Refuse to write over files of another origin.

        Also over those of a run whose configuration has gone.
        """
        must_be_absent: tuple[str, ...] = (CHECKPOINT, HISTORY, CLASSIFIER, COHORT)
        if self.config.is_file():
            try:
                read_config(self.config)
            except NapariMilError as error:
                raise TrainingError(
                    f"{self.path} holds a {CONFIG} that is no run's ({error}); "
                    "choose another folder."
                ) from error
            must_be_absent = (CLASSIFIER,)
        present = [name for name in must_be_absent if (self.path / name).exists()]
        if present:
            raise TrainingError(
                f"{self.path} holds {' and '.join(present)}, but no run that could go on; "
                "choose another folder, or move them away."
            )
