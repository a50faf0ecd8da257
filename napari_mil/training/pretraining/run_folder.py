"""Folder of one pretraining: configuration, drawn tiles, last checkpoint, encoder."""

from __future__ import annotations

import json
from pathlib import Path

from napari_mil.errors import TrainingError
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.layout import CHECKPOINT, HISTORY
from napari_mil.training.pretraining.config import PretrainingConfig, read_pretraining_config
from napari_mil.training.pretraining.layout import (
    DRAWN,
    ENCODER,
    PRETRAINING,
    SLIDES,
    TILES,
    is_pretrained,
    is_pretraining,
)
from napari_mil.training.work_folder import WorkFolder

MOVABLE_FIELDS = {"device", "sources"}
"""Fields that may change when a run is resumed."""


class PretrainingFolder(WorkFolder):
    """Folder of one pretraining.

    Parameters
    ----------
    path
        Folder, made when something is written.
    """

    results = (CHECKPOINT, DRAWN, ENCODER)
    beginnings = (PRETRAINING, SLIDES, TILES)

    @property
    def encoder(self) -> Path:
        """Folder of the adapted encoder, there once the run has finished."""
        return self.path / ENCODER

    def begin(
        self, config: PretrainingConfig, asked: set[str], cohort: Cohort, *, resume: bool
    ) -> PretrainingConfig:
        """Write the configuration, or read that of the run to resume.

        Parameters
        ----------
        config
            Configuration of a new run.
        asked
            Fields that were set on purpose; a run that is resumed keeps all others as they were.
        cohort
            Slides to learn from, which must be those of the run to resume.
        resume
            Whether to go on with the run that is there.

        Raises
        ------
        TrainingError
            If the folder holds a run and `resume` is false, the run was started with other settings
            or slides, or the folder holds files of another origin.
        """
        contents = sorted(bag.content for bag in cohort.bags)
        if not is_pretraining(self.path) and not is_pretrained(self.path):
            self._check_ownership()
            self.write(PRETRAINING, config.as_json())
            self.write(SLIDES, json.dumps(contents) + "\n")
            return config
        if not resume:
            raise TrainingError(
                f"{self.path} holds a pretraining already; resume it, or choose another folder."
            )
        before = read_pretraining_config(self.path / PRETRAINING)
        self._check_same(before, config, asked)
        self._check_slides(contents)
        changes = {name: getattr(config, name) for name in asked & MOVABLE_FIELDS}
        return before.model_copy(update=changes)

    def remove_leftovers(self) -> None:
        """Remove what only an unfinished run needs."""
        for name in (CHECKPOINT, DRAWN, TILES):
            (self.path / name).unlink(missing_ok=True)

    def _check_same(
        self, before: PretrainingConfig, now: PretrainingConfig, asked: set[str]
    ) -> None:
        differences = [
            f"{name} {getattr(before, name)!r}, now {getattr(now, name)!r}"
            for name in sorted(asked - MOVABLE_FIELDS)
            if getattr(before, name) != getattr(now, name)
        ]
        if differences:
            raise TrainingError(
                f"The pretraining in {self.path.name} was started with "
                f"{'; '.join(differences[:3])}; resume it with the same settings, "
                "or choose another folder."
            )

    def _check_slides(self, contents: list[str]) -> None:
        try:
            before = set(json.loads((self.path / SLIDES).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{SLIDES} of {self.path.name} cannot be read ({error}); choose another folder."
            ) from error
        gone = len(before - set(contents))
        new = len(set(contents) - before)
        if gone or new:
            raise TrainingError(
                f"The slides changed since the pretraining in {self.path.name} began "
                f"({gone} are gone, {new} are new); put them back, or choose another folder."
            )

    def _check_ownership(self) -> None:
        """Refuse to write over files of another origin."""
        foreign = ("config.json", CHECKPOINT, HISTORY, ENCODER)
        present = [name for name in foreign if (self.path / name).exists()]
        if present:
            raise TrainingError(
                f"{self.path} holds {' and '.join(present)}, but no pretraining that could go on; "
                "choose another folder."
            )
