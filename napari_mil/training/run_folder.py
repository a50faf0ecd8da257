"""Folder of one run: configuration, history and the last checkpoint.

Files are written whole or not at all, and one process at a time works in the folder.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from napari_mil.errors import CancelledError, NapariMilError, OutputError, TrainingError
from napari_mil.files import PART, whole_or_nothing
from napari_mil.pickles import load_pickle
from napari_mil.training.config import MACHINE_FIELDS, MEMORY_FIELDS, TrainingConfig, read_config
from napari_mil.training.fitting import SECONDS, Row
from napari_mil.training.layout import (
    CHECKPOINT,
    CLASSIFIER,
    COHORT,
    CONFIG,
    EVALUATION,
    FOLDS,
    HISTORY,
    LOCK,
    is_finished,
    is_unfinished,
    kept_in,
)

MOVABLE_FIELDS = {"memory_gb", "device"}
"""Fields that may change when a run is resumed."""


class RunFolder:
    """Folder of one run.

    Parameters
    ----------
    path
        Folder, made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out inside the context.

        The operating system releases the lock when this process ends, however it ends. A folder
        that was made here and holds nothing to go on from is removed.

        Raises
        ------
        TrainingError
            If another process works in the folder.
        OutputError
            If the folder cannot be made or written.
        """
        lock = FileLock(self.path / LOCK)
        made_here = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise TrainingError(
                f"Another run is at work in {self.path}; wait for it, or choose another folder."
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error.strerror or error}); choose another folder."
            ) from error
        # Partial files are left by a process that was killed while it wrote.
        for partial in self.path.glob(f".*{PART}"):
            partial.unlink(missing_ok=True)
        try:
            yield
        except CancelledError:
            kept = kept_in(self.path)
            if made_here:
                self._remove_what_was_begun()
            raise CancelledError(kept) from None
        except BaseException:
            if made_here:
                self._remove_what_was_begun()
            raise
        finally:
            lock.release()
            if made_here:
                self._remove_if_empty()

    def _remove_what_was_begun(self) -> None:
        """Remove the configuration of a run that left no result."""
        results = (CHECKPOINT, CLASSIFIER, EVALUATION, FOLDS)
        if not any((self.path / name).exists() for name in results):
            for name in (CONFIG, COHORT):
                (self.path / name).unlink(missing_ok=True)

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

    def write(self, name: str, text: str) -> None:
        """Write a text file whole or not at all.

        Raises
        ------
        OutputError
            If the disk is full or the folder has gone; the earlier file is untouched.
        """
        self._replace(name, text.encode())

    def write_history(self, rows: Sequence[Row]) -> None:
        """Write ``history.csv``, one line per epoch; missing figures stay empty.

        The seconds, which no two runs share, come last.
        """
        names = list(dict.fromkeys(name for row in rows for name in row))
        names.sort(key=lambda name: name == SECONDS)
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: "" if value is None else value for name, value in row.items()} for row in rows
        )
        self.write(HISTORY, text.getvalue())

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint of an epoch, then its history."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        self._replace(CHECKPOINT, buffer.getbuffer())
        self.write_history(state["fitting"]["history"])

    def load(self) -> dict[str, Any] | None:
        """Return the last checkpoint, or None.

        Raises
        ------
        TrainingError
            If it cannot be read.
        """
        if not (self.path / CHECKPOINT).is_file():
            return None
        try:
            state = load_pickle(self.path / CHECKPOINT)
        except NapariMilError as error:
            raise TrainingError(
                f"The checkpoint of {self.path.name} cannot be read ({error}); "
                "remove it to start again."
            ) from error
        if not isinstance(state, dict) or "fitting" not in state:
            raise TrainingError(
                f"The checkpoint of {self.path.name} was not written by napari-mil; "
                "remove it to start again."
            )
        return state

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run."""
        (self.path / CHECKPOINT).unlink(missing_ok=True)

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

    def _remove_if_empty(self) -> None:
        if not self.path.is_dir() or any(path.name != LOCK for path in self.path.iterdir()):
            return
        with suppress(OSError):  # another process has written into it
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()

    def _replace(self, name: str, content: bytes | memoryview) -> None:
        try:
            with whole_or_nothing(self.path / name) as part:
                part.write_bytes(content)
        except OSError as error:
            raise OutputError(
                f"{name} cannot be written to {self.path} ({error.strerror or error}); "
                f"make room or put the folder back, then resume: {kept_in(self.path)}."
            ) from error
