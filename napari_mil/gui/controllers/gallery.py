"""Connects the gallery with selection, canvas and the pixels of the instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from napari_mil.bags.layout import Layout
from napari_mil.errors import NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.exports.contact_sheet import SheetTile, write_contact_sheet
from napari_mil.gui.closeups import instance_thumbnail
from napari_mil.gui.instance_pictures import Thumbnails
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
        self._thumbnails = Thumbnails(
            jobs,
            READ_JOB,
            self._on_read,
            lambda text, details: session.apply(actions.add_notice, text, details),
        )

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
        self._thumbnails.cancel()

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
            self._request_pictures(state, snapshot)

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

    def _request_pictures(self, state: SessionState, snapshot: GallerySnapshot) -> None:
        subject = state.current_subject
        if subject is not None and state.layout is not None:
            instances = [tile.instance for tile in snapshot.tiles]
            self._thumbnails.request(subject, state.layout, instances)

    def _on_read(self, instance: int, pixels: np.ndarray) -> None:
        if self.view is not None:
            self.view.show_pixels(instance, pixels)


def _sheet_tiles(
    subject: Subject, layout: Layout, shown: GallerySnapshot, cancel: CancellationToken
) -> Iterator[SheetTile]:
    for tile in shown.tiles:
        cancel.raise_if_cancelled()
        pixels = instance_thumbnail(subject, layout, tile.instance)
        if pixels is not None:
            yield SheetTile(pixels, f"{tile.words} · {tile.name}")
