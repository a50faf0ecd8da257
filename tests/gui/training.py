"""What tests of the Train tab share: small cohorts, jobs without threads, signals of fakes."""

import traceback
from unittest.mock import MagicMock

import numpy as np
import psutil

from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.gui.camera import SubjectCamera
from napari_mil.gui.layer_book import LayerBook
from napari_mil.training.cohorts.cohort import SLIDES, Cohort, CohortBag

TILES = {"tile_px": "64", "mpp": "0.5", "mask": "none"}


def features(folder, n=10, dim=6, instances=12):
    """Write n feature files of each of two classes that can be told apart; return their folder."""
    random = np.random.default_rng(0)
    for k, label in enumerate(("benign", "malignant")):
        (folder / "bags" / label).mkdir(parents=True)
        for i in range(n):
            bag = random.normal(size=(instances, dim)).astype(np.float32)
            bag[:4, k] += 3
            np.save(folder / "bags" / label / f"{label}{i}.npy", bag)
    return folder / "bags"


def slides(root, n=3, mpp=0.5):
    """Return a cohort of slides that nobody opens."""
    bags = tuple(
        CohortBag(
            root / label / f"{label}{i}.tiff",
            label,
            f"{label}{i}",
            None,
            SLIDES,
            mpp=mpp,
            content=f"{label}{i}",
            patient_known=False,
        )
        for label in ("left", "right")
        for i in range(n)
    )
    return Cohort(root, ("left", "right"), bags, source=root)


def emit(signal, *arguments):
    """Tell what a view that is a mock would tell."""
    for call in signal.connect.call_args_list:
        call.args[0](*arguments)


def mock_book():
    """Return a mock of the layers of a viewer and of its camera."""
    book = MagicMock(spec=LayerBook)
    book.camera = MagicMock(spec=SubjectCamera)
    return book


class FakeSignal:
    """A signal without Qt."""

    def __init__(self):
        self._slots = []

    def connect(self, slot):
        self._slots.append(slot)

    def emit(self, *arguments):
        for slot in self._slots:
            slot(*arguments)


class FakeJob:
    """A job that works when it is told to, in the thread of the test."""

    def __init__(self, kind, work):
        self.kind = kind
        self.token = CancellationToken()
        self.event_happened = FakeSignal()
        self.succeeded = FakeSignal()
        self.failed = FakeSignal()
        self.cancelled = FakeSignal()
        self.ended = FakeSignal()
        self._work = work

    def run(self):
        try:
            self.token.raise_if_cancelled()
            value = self._work(self.event_happened.emit, self.token)
        except CancelledError:
            self.cancelled.emit()
        except NapariMilError as error:
            self.failed.emit(str(error), "")
        except RuntimeError as error:
            self.failed.emit(f"This is a defect: {error}", traceback.format_exc())
        else:
            self.succeeded.emit(value)


class FakeJobs:
    """Keeps jobs until `run` is called."""

    def __init__(self):
        self.waiting = []

    def start(self, kind, work, *, patient=False):
        self.cancel(kind)
        job = FakeJob(kind, work)
        self.waiting.append(job)
        return job

    def is_running(self, kind):
        return self.current(kind) is not None

    def current(self, kind):
        jobs = [job for job in self.waiting if job.kind == kind]
        return jobs[-1] if jobs else None

    def cancel(self, kind):
        job = self.current(kind)
        if job is not None:
            job.token.cancel()

    def run(self):
        """Do all work that waits, and what follows from it."""
        while self.waiting:
            job = self.waiting[0]
            try:
                job.run()
            finally:
                self.waiting.remove(job)
            job.ended.emit()


def child_of_this_window():
    """Return the processes that train for this one."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "napari_mil.training.process" in " ".join(child.cmdline())
    ]
