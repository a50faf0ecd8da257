"""Folder of work that can be stopped and resumed.

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
from napari_mil.training.layout import CHECKPOINT, HISTORY, LOCK, kept_in

SECONDS = "seconds"
"""Figure of the time that an epoch took."""
Row = Mapping[str, float | None]
"""Figures of an epoch by name."""


class WorkFolder:
    """Folder of resumable work.

    Parameters
    ----------
    path
        Folder, made when something is written.
    """

    results: tuple[str, ...] = (CHECKPOINT,)
    """Files and folders that work can go on from, or has ended with."""
    beginnings: tuple[str, ...] = ()
    """Files that mean nothing without results."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

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
        """Remove the beginnings of work that left no result."""
        if not any((self.path / name).exists() for name in self.results):
            for name in self.beginnings:
                (self.path / name).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Write a text file whole or not at all.

        Raises
        ------
        OutputError
            If the disk is full or the folder has gone; the earlier file is untouched.
        """
        self.replace(name, text.encode())

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
        self.replace(CHECKPOINT, buffer.getbuffer())
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

    def replace(self, name: str, content: bytes | memoryview) -> None:
        """Write a file whole or not at all.

        Raises
        ------
        OutputError
            If the disk is full or the folder has gone; the earlier file is untouched.
        """
        try:
            with whole_or_nothing(self.path / name) as part:
                part.write_bytes(content)
        except OSError as error:
            raise OutputError(
                f"{name} cannot be written to {self.path} ({error.strerror or error}); "
                f"make room or put the folder back, then resume: {kept_in(self.path)}."
            ) from error

    def _remove_if_empty(self) -> None:
        if not self.path.is_dir() or any(path.name != LOCK for path in self.path.iterdir()):
            return
        with suppress(OSError):  # another process has written into it
            (self.path / LOCK).unlink(missing_ok=True)
            self.path.rmdir()
