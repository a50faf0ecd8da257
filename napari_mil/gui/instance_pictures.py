"""Pictures of instances, read once in a thread and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.events import CancellationToken
from napari_mil.gui.closeups import instance_thumbnail
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model.subjects import Subject

MOST_KEPT = 600
"""Pictures that are kept, those of several views."""

Key = tuple[int, float, float, int]
"""Subject, corner and side of the instance: a picture is of one place."""
Show = Callable[[int, np.ndarray], None]
"""Shows the picture, uint8 (H, W, 3), of an instance."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Picture of an instance that was read."""

    key: Key
    instance: int
    pixels: np.ndarray
    """uint8 (H, W, 3)."""


class Thumbnails:
    """Reads the pictures that a view lacks, in its order; a new request replaces the last.

    Parameters
    ----------
    jobs
        Jobs of the window.
    job
        Kind of the job that reads.
    show
        Called with each picture, at once where it was read before.
    report
        Called with the text and the details of a fault.
    """

    def __init__(
        self, jobs: JobRunner, job: str, show: Show, report: Callable[[str, str], None]
    ) -> None:
        self._jobs = jobs
        self._job = job
        self._show = show
        self._report = report
        self._kept: OrderedDict[Key, np.ndarray] = OrderedDict()

    def request(self, subject: Subject, layout: Layout, instances: Sequence[int]) -> None:
        """Show the pictures of instances."""
        missing: list[tuple[Key, int]] = []
        for instance in instances:
            key = key_of(subject, layout, instance)
            pixels = self._kept.get(key)
            if pixels is None:
                missing.append((key, instance))
            else:
                self._kept.move_to_end(key)
                self._show(instance, pixels)
        if not missing:
            self.cancel()
            return

        def work(tell: Tell, cancel: CancellationToken) -> None:
            for key, instance in missing:
                cancel.raise_if_cancelled()
                pixels = instance_thumbnail(subject, layout, instance)
                if pixels is not None:
                    tell(Thumbnail(key, instance, pixels))

        job = self._jobs.start(self._job, work)
        job.event_happened.connect(self._on_read)
        job.failed.connect(self._report)

    def cancel(self) -> None:
        """Read nothing more."""
        self._jobs.cancel(self._job)

    def _on_read(self, thumbnail: Thumbnail) -> None:
        self._kept[thumbnail.key] = thumbnail.pixels
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        self._show(thumbnail.instance, thumbnail.pixels)


def key_of(subject: Subject, layout: Layout, instance: int) -> Key:
    """Return the place that an instance shows."""
    x, y = layout.coords[instance]
    return subject.key, float(x), float(y), round(layout.tile_size0)
