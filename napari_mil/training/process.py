"""Training in a process of its own, so that a window beside it never waits for it (no Qt).

The two sides talk in length-prefixed pickles over the child's standard input and output. The child ends when its input closes: with the
window, however that ended. Training is a loop of small steps in Python; in a thread it would take the window's turn a thousand times a second.
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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from napari_mil.errors import CancelledError, NapariMilError, TrainingError
from napari_mil.events import CancellationToken, Event, OnEvent
from napari_mil.settings import Settings
from napari_mil.training.cohort import Cohort

LENGTH = struct.Struct("<Q")
POLL_S = 0.05
PATIENCE_S = 5.0
"""How long a cancelled child may take to end by itself: it stops between two bags."""
NICENESS = 5
"""The window goes first."""


@dataclass(frozen=True)
class TrainingRequest:
    """What a child process is asked to do."""

    cohort: Cohort
    config: dict[str, Any]
    """Fields of a `TrainingConfig`."""
    out: Path
    resume: bool = False
    watch: Path | None = None
    folds: int = 0
    """Cross-validate afterwards with so many folds; 0 does not."""
    repeats: int = 1
    settings: Settings | None = None


class ChildDefectError(Exception):
    """Raised in the parent where the child met a defect of ours; its text is the child's traceback."""


def train_beside(request: TrainingRequest, on_event: OnEvent, cancel: CancellationToken) -> Any:
    """Train in another process; blocks without holding the interpreter.

    Parameters
    ----------
    request
        What to do.
    on_event
        Told every event of the child, in this thread.
    cancel
        Its state (cancelled, paused) is passed on.

    Returns
    -------
    TrainingResult

    Raises
    ------
    NapariMilError
        What the child raised; a `TrainingError` where it died.
    CancelledError
        If it was cancelled.
    """
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
    }  # threads that wait leave the core to the window
    child = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    over = threading.Event()
    follower = threading.Thread(
        target=_pass_on, args=(cancel, child, over), daemon=True, name="training-control"
    )
    try:
        _send(child.stdin, request)
        follower.start()
        while True:
            kind, value = _receive(child.stdout)
            if kind == "event":
                on_event(value)
            elif kind == "result":
                return value
            elif kind == "error":
                raise value
            else:
                raise ChildDefectError(value)
    except (EOFError, OSError, pickle.UnpicklingError):
        if cancel.cancelled:
            raise CancelledError("Cancelled; the last checkpoint is kept.") from None
        raise TrainingError(
            f"The training process ended unexpectedly (code {child.wait()}); the last checkpoint is whole: Resume goes on from it."
        ) from None
    finally:
        over.set()
        with suppress(OSError):
            child.stdin.close()
        try:
            child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def _pass_on(
    cancel: CancellationToken, child: subprocess.Popen[bytes], over: threading.Event
) -> None:
    """Tell the child whenever the token changes."""
    told = "resume"
    while not over.wait(POLL_S):
        state = "cancel" if cancel.cancelled else "pause" if cancel.paused else "resume"
        if state != told:
            told = state
            with suppress(OSError, ValueError):
                assert child.stdin is not None
                _send(child.stdin, state)
        if state == "cancel":
            over.wait(PATIENCE_S)
            if not over.is_set():
                child.kill()
            return


def _send(stream: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """Read one message; both ends are ours, started by each other."""
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: IO[bytes], n: int) -> bytes:
    content = stream.read(n)
    if content is None or len(content) < n:
        raise EOFError
    return content


def _main() -> None:
    """Be the child."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints goes to stderr
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    control: IO[bytes] = io.BufferedReader(io.FileIO(0, closefd=False))
    request: TrainingRequest = _receive(control)
    cancel, lock = CancellationToken(), threading.Lock()

    def tell(kind: str, value: Any) -> None:
        with lock, suppress(OSError):  # nobody listens any more: cancelled in a moment
            _send(answers, (kind, value))

    threading.Thread(target=_obey, args=(control, cancel), daemon=True).start()
    try:
        tell("result", _work(request, lambda event: tell("event", event), cancel))
    except NapariMilError as error:
        tell("error", error)
    except Exception:
        tell("defect", traceback.format_exc())


def _obey(control: IO[bytes], cancel: CancellationToken) -> None:
    orders = {"cancel": cancel.cancel, "pause": cancel.pause, "resume": cancel.resume}
    with suppress(EOFError, OSError):
        while True:
            orders[_receive(control)]()
    cancel.cancel()  # the window has gone


def _work(request: TrainingRequest, on_event: OnEvent, cancel: CancellationToken) -> Any:
    from napari_mil.events import Finished
    from napari_mil.training.config import make_config
    from napari_mil.training.evaluation import cross_validate
    from napari_mil.training.run import TrainingResult, train

    def tell(event: Event) -> None:
        if not isinstance(event, Finished) or isinstance(event.result, TrainingResult):
            on_event(event)

    settings, config = request.settings or Settings(), make_config(**request.config)
    result = train(
        request.cohort,
        config,
        out=request.out,
        on_event=tell,
        cancel=cancel,
        resume=request.resume,
        watch=request.watch,
        settings=settings,
    )
    if request.folds:
        cross_validate(
            request.cohort,
            config,
            folds=request.folds,
            repeats=request.repeats,
            out=request.out,
            on_event=tell,
            cancel=cancel,
            resume=True,
            settings=settings,
        )
    return result


if __name__ == "__main__":
    _main()
