"""Connects the Compare panel with the answers, the canvas and the annotations."""

from __future__ import annotations

from dataclasses import dataclass

from qtpy.QtCore import QObject, QTimer

from napari_mil.events import CancellationToken
from napari_mil.exports.maps import ScaleMode, split_key
from napari_mil.gui.drawn_regions import regions_of_shapes
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.layer_book import LayerBook
from napari_mil.gui.model import actions, comparing
from napari_mil.gui.model.compared import (
    Figures,
    Question,
    answer_question,
    compared,
    curtain_at,
    question_of,
)
from napari_mil.gui.model.comparing import CompareView as CanvasView
from napari_mil.gui.model.comparing import DrawnRegions
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.linked_picture import (
    Backdrop,
    fitted_place,
    linked_picture,
    map_inks,
    read_backdrop,
    whole_backdrop,
)
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.compare import CompareSnapshot, compare_snapshot, newest_figures
from napari_mil.gui.model.subjects import Pixels, Place, Subject, SubjectKind
from napari_mil.gui.views.compare_view import CompareView

FIGURES_JOB = "compare"
PICTURE_JOB = "compare picture"
AFTER_MOVE_MS = 30
"""The picture follows the camera this much later, and not with every event of the mouse."""
SHARPEN_AFTER_MS = 200
"""Fine pixels are read once the camera rests."""
BLACK, WHITE = 0, 255


@dataclass(frozen=True, eq=False)
class _Sharp:
    """Fine pixels that were read."""

    pixels: Pixels
    """What they were read from."""
    backdrop: Backdrop


class CompareController:
    """Computes the figures of two answers, and draws the other one where the canvas is.

    Parameters
    ----------
    session
        State of the window.
    jobs
        Runs what takes time.
    book
        Knows the camera and the shapes layers.
    parent
        What the timers end with.
    """

    panel = Panel.COMPARE

    def __init__(
        self, session: Session, jobs: JobRunner, book: LayerBook, parent: QObject | None = None
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._book = book
        self.view: CompareView | None = None
        self._shown: CompareSnapshot | None = None
        self._asked: Question | None = None
        self._sharp: _Sharp | None = None
        self._place: Place | None = None
        """Part that the picture shows."""
        self._redraw = _timer(parent, AFTER_MOVE_MS, self.draw)
        self._sharpen = _timer(parent, SHARPEN_AFTER_MS, self._read_sharp)
        book.camera.moved.connect(self._on_move)
        book.redrawn.connect(self._on_redrawn)

    def make_view(self) -> CompareView:
        """Make the view, connected."""
        view = CompareView()
        change = self._session.compare
        view.other_chosen.connect(lambda name: change(comparing.choose_other, name))
        view.first_column_chosen.connect(self.choose_map)
        view.second_column_chosen.connect(lambda key: change(comparing.choose_column, key))
        view.view_chosen.connect(self.choose_view)
        view.scale_chosen.connect(lambda mode: change(comparing.choose_scale, ScaleMode(mode)))
        view.curtain_moved.connect(lambda place: change(comparing.move_curtain, place))
        view.curtain_fetched.connect(self.fetch_curtain)
        view.reference_chosen.connect(lambda name: change(comparing.choose_reference, name))
        view.shapes_requested.connect(self.read_shapes)
        view.swap_requested.connect(self.swap)
        view.picture.resized.connect(self._on_move)
        view.picture.dragged.connect(self._on_dragged)
        view.picture.zoomed.connect(self._on_zoomed)
        view.picture.pointed.connect(self._on_pointed)
        self.view = view
        self._shown = None
        return view

    def forget_view(self) -> None:
        """Let go of the view, which is gone."""
        self.view = None
        self._sharp = None
        for timer in (self._redraw, self._sharpen):
            timer.stop()
        for kind in (FIGURES_JOB, PICTURE_JOB):
            self._jobs.cancel(kind)

    def render(self, state: SessionState) -> None:
        """Show a state, ask for the figures it lacks, and draw the picture."""
        if self.view is None:
            return
        snapshot = compare_snapshot(state)
        if snapshot != self._shown:
            self._shown = snapshot
            self.view.render(snapshot)
        self._ask(state)
        self._on_move()

    def choose_map(self, key: str) -> None:
        """Colour a map of the shown answer, here and in the Inspect tab."""
        kind, name = split_key(key)
        with self._session.together():
            self._session.apply(actions.choose_kind, Kind(kind))
            self._session.apply(actions.choose_name, name)

    def choose_view(self, view: CanvasView) -> None:
        """Choose what the canvas shows; it becomes visible."""
        with self._session.together():
            self._session.compare(comparing.choose_view, CanvasView(view))
            self._session.apply(actions.set_look, Role.OVERLAY, Look(visible=True))

    def fetch_curtain(self) -> None:
        """Bring the line of the curtain into the middle of the view."""
        both = compared(self._session.state)
        view = self._book.camera.view
        if both is not None and view is not None:
            place = curtain_at(both, view.place.centre[0])
            self._session.compare(comparing.move_curtain, place)

    def swap(self) -> None:
        """Show the other answer, and compare it with the one that was shown."""
        both = compared(self._session.state)
        if both is None:
            return
        first, second = both.first, both.second
        with self._session.together():
            self._session.apply(
                actions.update_subject, first.answer.subject, shown_classifier=second.name
            )
            self._session.apply(actions.choose_classifier, second.name)
            self._session.compare(comparing.choose_other, first.name)
            if first.column is not None:
                self._session.compare(comparing.choose_column, first.column.key)
            if second.column is not None:
                self.choose_map(second.column.key)

    def read_shapes(self) -> None:
        """Take the shapes of the chosen layer as annotated regions."""
        subject = self._session.state.current_subject
        layer = self._book.chosen_shapes()
        if subject is None or subject.slide is None or layer is None:
            self._say(
                "Choose the shapes layer to compare with in the layer list, over an open slide; "
                "add one by the button above the list."
            )
            return
        regions = regions_of_shapes(layer, subject.slide, layer.name)
        if not regions:
            self._say(
                f"No shape in {layer.name} has an area (points and lines have none); "
                "draw rectangles, ellipses or polygons."
            )
            return
        drawn = DrawnRegions(subject.key, layer.name, tuple(regions))
        self._session.compare(comparing.take_drawn, drawn)

    def draw(self) -> None:
        """Draw the part of the subject that is in view, with the map of the other answer."""
        state = self._session.state
        subject = state.current_subject
        both = compared(state)
        seen = self._book.camera.view
        if self.view is None or Panel.COMPARE not in state.panels:
            return
        picture = self.view.picture
        if subject is None or both is None or seen is None:
            picture.show_picture(None)
            return
        size = picture.pixel_size
        place = fitted_place(seen.place, size, subject.placement.aspect)
        self._place = place
        backdrops = [whole_backdrop(subject)]
        if self._sharp is not None and self._sharp.pixels is subject.pixels:
            backdrops.append(self._sharp.backdrop)
        is_dark = subject.kind is SubjectKind.IMAGES or subject.is_fluorescence
        pixels = linked_picture(
            tuple(backdrops),
            place,
            size,
            both.second.layout,
            map_inks(subject, both.second, state.display),
            BLACK if is_dark else WHITE,
        )
        picture.show_picture(pixels, _mark(state, subject, place))

    def _ask(self, state: SessionState) -> None:
        """Compute the figures that the state lacks."""
        question = question_of(state)
        if question is None or newest_figures(state) is not None:
            return
        if question.is_same_as(self._asked):
            return
        self._asked = question

        def work(tell: Tell, cancel: CancellationToken) -> Figures:
            return answer_question(question)

        job = self._jobs.start(FIGURES_JOB, work)
        job.succeeded.connect(lambda figures: self._session.compare(comparing.set_figures, figures))
        job.failed.connect(self._say)
        job.ended.connect(lambda: self._forget(question))

    def _forget(self, question: Question) -> None:
        if self._asked is question:
            self._asked = None

    def _on_move(self) -> None:
        if self.view is None or Panel.COMPARE not in self._session.state.panels:
            return
        if not self._redraw.isActive():
            self._redraw.start()
        self._sharpen.start()

    def _on_redrawn(self) -> None:
        self._sharp = None
        self._on_move()

    def _read_sharp(self) -> None:
        """Read the pixels of the view as fine as the picture shows them, in a thread."""
        subject = self._session.state.current_subject
        place = self._place
        if self.view is None or subject is None or place is None:
            return
        size = self.view.picture.pixel_size
        pixels = subject.pixels
        if not pixels.multiscale:
            return

        def work(tell: Tell, cancel: CancellationToken) -> _Sharp:
            return _Sharp(pixels, read_backdrop(subject, place, size))

        job = self._jobs.start(PICTURE_JOB, work)
        job.succeeded.connect(self._on_sharp)
        job.failed.connect(self._say)

    def _on_sharp(self, sharp: _Sharp) -> None:
        self._sharp = sharp
        self.draw()

    def _on_dragged(self, across: float, down: float) -> None:
        seen = self._book.camera.view
        if seen is not None and self._place is not None:
            x, y = seen.place.centre
            self._book.camera.move_to(
                (x - across * self._place.width, y - down * self._place.height)
            )

    def _on_zoomed(self, factor: float) -> None:
        subject = self._session.state.current_subject
        seen = self._book.camera.view
        if subject is not None and seen is not None:
            self._book.camera.zoom_to(seen.zoom * factor)

    def _on_pointed(self, across: float, down: float) -> None:
        """Select the instance of the shown answer under a click."""
        layout = self._session.state.layout
        place = self._place
        if layout is None or place is None:
            return
        instance = layout.instance_at(place.x + across * place.width, place.y + down * place.height)
        if instance is None:
            self._session.apply(actions.clear_selection)
        else:
            self._session.apply(actions.select, (instance,))

    def _say(self, text: str, details: str = "") -> None:
        self._session.apply(actions.add_notice, text, details)


def _mark(state: SessionState, subject: Subject, place: Place) -> Place | None:
    """Return where the selected instance lies, as shares of a place."""
    selection = state.selection
    layout = state.layout
    if selection is None or selection.subject != subject.key or layout is None:
        return None
    x, y = layout.coords[selection.instance]
    width, height = layout.size0
    return Place(
        (float(x) - place.x) / place.width,
        (float(y) - place.y) / place.height,
        width / place.width,
        height / place.height,
    )


def _timer(parent: QObject | None, after_ms: int, call: object) -> QTimer:
    """Return a timer that rings once and ends with its parent."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(call)
    return timer
