"""Connects the gallery with selection, canvas and the pixels of the instances."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.exports.contact_sheet import SheetTile, write_contact_sheet
from napari_mil.gui.closeups import instance_thumbnail
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions
from napari_mil.gui.model.gallery import Which
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.gallery import GallerySnapshot, gallery_snapshot
from napari_mil.gui.model.subjects import Subject
from napari_mil.gui.views.gallery_view import GalleryView

READ_JOB = "gallery"
SAVE_JOB = "save gallery"
MOST_KEPT = 600
"""Pictures that are kept, those of several galleries."""

Key = tuple[int, float, float, int]
"""Subject, corner and side of the instance: a picture is of one place."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Picture of an instance that was read."""

    key: Key
    instance: int
    pixels: np.ndarray
    """uint8 (H, W, 3)."""


class GalleryController:
    """Reads the pictures that the gallery lacks, in its order, and saves it as one picture."""

    panel = Panel.GALLERY

    def __init__(
        self,
        session: Session,
        jobs: JobRunner,
        go_to: Callable[[int], None],
        ask_for_picture: Callable[[str], Path | None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._go_to = go_to
        self._ask_for_picture = ask_for_picture
        self.view: GalleryView | None = None
        self._shown: GallerySnapshot | None = None
        self._thumbnails: OrderedDict[Key, np.ndarray] = OrderedDict()

    def make_view(self) -> GalleryView:
        """Make the view, connected."""
        view = GalleryView()
        apply = self._session.apply
        view.which_chosen.connect(lambda name: apply(actions.choose_gallery, which=Which(name)))
        view.n_chosen.connect(lambda n: apply(actions.choose_gallery, n=n))
        view.selected.connect(lambda instances: apply(actions.select, instances))
        view.instance_opened.connect(self._go_to)
        view.save_requested.connect(self.save)
        self.view = view
        self._shown = None
        return view

    def forget_view(self) -> None:
        """Let go of the view, which is gone."""
        self.view = None
        self._jobs.cancel(READ_JOB)

    def render(self, state: SessionState) -> None:
        """Show a state, and read what it lacks."""
        snapshot = gallery_snapshot(state)
        if self.view is None or snapshot == self._shown:
            return
        earlier = self._shown
        self._shown = snapshot
        self.view.render(snapshot)
        pictures = (snapshot.subject, snapshot.tiles)
        if earlier is None or (earlier.subject, earlier.tiles) != pictures:
            self._read_missing(state, snapshot)

    def save(self) -> None:
        """Write what the gallery shows as one picture."""
        state = self._session.state
        subject = state.current_subject
        layout = state.layout
        shown = self._shown
        if subject is None or layout is None or shown is None or not shown.tiles:
            return
        path = self._ask_for_picture(f"{subject.path.stem}-gallery.png")
        if path is None:
            return
        title = f"{subject.name}: {shown.title}"

        def work(tell: Tell, cancel: CancellationToken) -> None:
            tiles = list(_sheet_tiles(subject, layout, shown, cancel))
            try:
                write_contact_sheet(tiles, title, path)
            except OSError as error:
                reason = error.strerror or str(error)
                raise NapariMilError(f"{path} cannot be written: {reason}.") from error

        job = self._jobs.start(SAVE_JOB, work, patient=True)
        apply = self._session.apply
        job.succeeded.connect(
            lambda _: apply(actions.add_notice, f"The gallery was written to {path}.")
        )
        job.failed.connect(lambda text, details: apply(actions.add_notice, text, details))

    def _read_missing(self, state: SessionState, snapshot: GallerySnapshot) -> None:
        """Show the pictures that were read before, and read the others in a thread."""
        subject = state.current_subject
        layout = state.layout
        if subject is None or layout is None or self.view is None:
            return
        missing: list[tuple[Key, int]] = []
        for tile in snapshot.tiles:
            key = _key(subject, layout, tile.instance)
            pixels = self._thumbnails.get(key)
            if pixels is None:
                missing.append((key, tile.instance))
            else:
                self._thumbnails.move_to_end(key)
                self.view.show_pixels(tile.instance, pixels)
        if not missing:
            self._jobs.cancel(READ_JOB)
            return

        def work(tell: Tell, cancel: CancellationToken) -> None:
            for key, instance in missing:
                cancel.raise_if_cancelled()
                pixels = instance_thumbnail(subject, layout, instance)
                if pixels is not None:
                    tell(Thumbnail(key, instance, pixels))

        job = self._jobs.start(READ_JOB, work)
        job.event_happened.connect(self._on_read)
        job.failed.connect(
            lambda text, details: self._session.apply(actions.add_notice, text, details)
        )

    def _on_read(self, thumbnail: Thumbnail) -> None:
        self._thumbnails[thumbnail.key] = thumbnail.pixels
        while len(self._thumbnails) > MOST_KEPT:
            self._thumbnails.popitem(last=False)
        if self.view is not None:
            self.view.show_pixels(thumbnail.instance, thumbnail.pixels)


def _key(subject: Subject, layout: Layout, instance: int) -> Key:
    x, y = layout.coords[instance]
    return subject.key, float(x), float(y), round(layout.tile_size0)


def _sheet_tiles(
    subject: Subject, layout: Layout, shown: GallerySnapshot, cancel: CancellationToken
) -> Iterator[SheetTile]:
    for tile in shown.tiles:
        cancel.raise_if_cancelled()
        pixels = instance_thumbnail(subject, layout, tile.instance)
        if pixels is not None:
            yield SheetTile(pixels, f"{tile.words} · {tile.name}")
