"""Training, scoring and adapting of encoders in a child process, beside a window (no Qt).

The two processes send length-prefixed pickles over the child's standard input and output. The child
ends when its input closes: with the window, however that ended. Training is a loop of small steps
in Python; in a thread it would take the interpreter from the window a thousand times a second.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from napari_mil.errors import CancelledError, NapariMilError, TrainingError
from napari_mil.events import Advanced, CancellationToken, Event, Finished, OnEvent, Started
from napari_mil.inference.card import ClassifierCard
from napari_mil.settings import Settings
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.layout import kept_in

LENGTH = struct.Struct("<Q")
"""Length of a message, sent before it."""
POLL_S = 0.05
PATIENCE_S = 5.0
"""Seconds that a cancelled child may take to end.

It stops between two bags.
"""
NICENESS = 5
"""Niceness of the child, so that the window goes first."""


@dataclass(frozen=True)
class TrainingRequest:
    """Work for a child process."""

    cohort: Cohort
    config: dict[str, Any]
    """Fields of a `TrainingConfig`."""
    out: Path
    resume: bool = False
    watch: Path | None = None
    folds: int = 0
    """Folds of a cross-validation after training; 0 for none."""
    repeats: int = 1
    settings: Settings | None = None

    def work(self, on_event: OnEvent, cancel: CancellationToken) -> Any:
        """Train, then evaluate if that is wanted; return the `TrainingResult`."""
        from napari_mil.training.config import make_config
        from napari_mil.training.evaluation.cross_validation import cross_validate
        from napari_mil.training.evaluation.curves import curves_of
        from napari_mil.training.evaluation.given_folds import folds_of_table
        from napari_mil.training.evaluation.page import write_page
        from napari_mil.training.run import TrainingResult, train

        # Figures of a cross-validation are read from the run's folder.
        def pass_on(event: Event) -> None:
            if not isinstance(event, Finished) or isinstance(event.result, TrainingResult):
                on_event(event)

        settings = self.settings or Settings()
        config = make_config(**self.config)
        result = train(
            self.cohort,
            config,
            out=self.out,
            on_event=pass_on,
            cancel=cancel,
            resume=self.resume,
            watch=self.watch,
            settings=settings,
        )
        if self.folds:
            evaluation = cross_validate(
                self.cohort,
                config,
                folds=self.folds,
                repeats=self.repeats,
                out=self.out,
                on_event=pass_on,
                cancel=cancel,
                resume=True,
                given=folds_of_table(self.cohort),
                settings=settings,
            )
            if evaluation.answers is not None:
                write_page(curves_of(evaluation.answers), evaluation.headline, self.out)
        return result


@dataclass(frozen=True)
class PretrainingRequest:
    """Adapting of an encoder for a child process."""

    cohort: Cohort
    config: dict[str, Any]
    """Fields of a `PretrainingConfig`."""
    out: Path
    resume: bool = False
    settings: Settings | None = None

    def work(self, on_event: OnEvent, cancel: CancellationToken) -> Any:
        """Adapt the encoder and return the `PretrainingResult`."""
        from napari_mil.training.pretraining.config import make_pretraining_config
        from napari_mil.training.pretraining.run import pretrain

        return pretrain(
            self.cohort,
            make_pretraining_config(**self.config),
            out=self.out,
            on_event=on_event,
            cancel=cancel,
            resume=self.resume,
            settings=self.settings,
        )


@dataclass(frozen=True)
class ScoredCohort:
    """What a score left on disk."""

    folder: Path
    """Folder of ``score.json`` and ``predictions.csv``."""
    root: Path
    """Folder of the cohort, below which its bags lie."""
    n_failed: int
    """Bags that could not be classified."""


@dataclass(frozen=True)
class ScoreRequest:
    """A score for a child process; answers that are in `out` already are used."""

    source: Path
    """Annotated folder or table."""
    classifier: ClassifierCard
    out: Path
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Class of the classifier by class of the cohort."""
    device: str = "auto"
    settings: Settings | None = None

    def work(self, on_event: OnEvent, cancel: CancellationToken) -> ScoredCohort:
        """Score the classifier and write the page of figures."""
        from napari_mil.inference.results import ClassifyRequest
        from napari_mil.training.cohorts.scanning import scan_annotated_folder
        from napari_mil.training.evaluation.curves import curves_of
        from napari_mil.training.evaluation.page import write_page
        from napari_mil.training.evaluation.scoring import score

        def on_bag(done: int, total: int) -> None:
            cancel.raise_if_cancelled()
            on_event(Started(total, "files") if done == 0 else Advanced(done, 0.0, None))

        # Figures are read from the folder.
        def pass_on(event: Event) -> None:
            if not isinstance(event, Finished):
                on_event(event)

        cohort = scan_annotated_folder(self.source, on_bag)
        found = score(
            cohort,
            self.classifier,
            out=self.out,
            mapping=self.mapping,
            request=ClassifyRequest(device=self.device, settings=self.settings or Settings()),
            resume=True,
            on_event=pass_on,
            cancel=cancel,
        )
        write_page(curves_of(found.answers), found.headline, self.out)
        return ScoredCohort(self.out, cohort.root, len(found.failed))


Request = TrainingRequest | PretrainingRequest | ScoreRequest


class ChildDefectError(Exception):
    """A defect of the package in the child process.

    Raised in the parent; its text is the child's traceback.
    """


def work_beside(request: Request, on_event: OnEvent, cancel: CancellationToken) -> Any:
    """Train or score a classifier, or adapt an encoder, in a child process.

    Blocks without holding the interpreter.

    Parameters
    ----------
    request
        Work for the child.
    on_event
        Called with every event of the child, in this thread.
    cancel
        Token whose state (cancelled, paused) is passed on.

    Returns
    -------
    TrainingResult, PretrainingResult or ScoredCohort

    Raises
    ------
    NapariMilError
        If the child raised one; a `TrainingError` if it died.
    ChildDefectError
        If the child met a defect of the package.
    CancelledError
        If it was cancelled.
    """
    # Passive: threads that wait leave the core to the window.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    ended = threading.Event()
    control = threading.Thread(
        target=_pass_on_state, args=(cancel, child, ended), daemon=True, name="training-control"
    )
    try:
        _send(child.stdin, request)
        control.start()
        return _receive_result(child.stdout, on_event)
    except (EOFError, OSError, pickle.UnpicklingError):
        if cancel.cancelled:
            raise CancelledError(kept_in(request.out)) from None
        raise TrainingError(
            f"The process beside the window ended unexpectedly (code {child.wait()}), "
            f"{kept_in(request.out)}; resume it."
        ) from None
    finally:
        ended.set()
        _end(child)


def _receive_result(stream: IO[bytes], on_event: OnEvent) -> Any:
    """Pass on the events of the child until its result comes."""
    while True:
        kind, value = _receive(stream)
        if kind == "event":
            on_event(value)
        elif kind == "result":
            return value
        elif kind == "error":
            raise value
        else:
            raise ChildDefectError(value)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the child's pipes; kill it if it does not end."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


def _pass_on_state(
    cancel: CancellationToken, child: subprocess.Popen[bytes], ended: threading.Event
) -> None:
    """Send the state of the token to the child whenever it changes."""
    assert child.stdin is not None
    sent = "resume"
    while not ended.wait(POLL_S):
        state = _state_of(cancel)
        if state != sent:
            sent = state
            with suppress(OSError, ValueError):
                _send(child.stdin, state)
        if state == "cancel":
            ended.wait(PATIENCE_S)
            if not ended.is_set():
                child.kill()
            return


def _state_of(cancel: CancellationToken) -> str:
    if cancel.cancelled:
        return "cancel"
    return "pause" if cancel.paused else "resume"


def _send(stream: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """Read one message.

    Both processes run this package, and one started the other, so that pickles can be trusted.
    """
    (length,) = LENGTH.unpack(_read_exactly(stream, LENGTH.size))
    return pickle.loads(_read_exactly(stream, length))  # noqa: S301 - from this package


def _read_exactly(stream: IO[bytes], n: int) -> bytes:
    content = stream.read(n)
    if content is None or len(content) < n:
        raise EOFError
    return content


def run_child() -> None:
    """Do the work that the parent sends, and tell what comes of it."""
    # Messages keep the standard output; prints go to stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    control: IO[bytes] = io.BufferedReader(io.FileIO(0, closefd=False))
    request: Request = _receive(control)
    cancel = CancellationToken()
    lock = threading.Lock()

    def answer(kind: str, value: Any) -> None:
        # A parent that has gone is noticed by _follow_state, which cancels.
        with lock, suppress(OSError):
            _send(answers, (kind, value))

    threading.Thread(target=_follow_state, args=(control, cancel), daemon=True).start()
    try:
        answer("result", request.work(lambda event: answer("event", event), cancel))
    except NapariMilError as error:
        answer("error", error)
    except Exception:
        answer("defect", traceback.format_exc())


def _follow_state(control: IO[bytes], cancel: CancellationToken) -> None:
    """Set the token as the parent sends its state.

    It is cancelled once the parent has gone.
    """
    setters = {"cancel": cancel.cancel, "pause": cancel.pause, "resume": cancel.resume}
    with suppress(EOFError, OSError):
        while True:
            setters[_receive(control)]()
    cancel.cancel()


if __name__ == "__main__":
    # Requests are of the classes of the imported module, not of this script.
    from napari_mil.training import process

    process.run_child()
