"""Shows the pixels of a slide as a person wants them: its channels, its colour profile."""

from __future__ import annotations

from collections.abc import Callable

from napari_mil.events import CancellationToken
from napari_mil.gui.jobs import JobRunner, Tell
from napari_mil.gui.model import actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import Pixels
from napari_mil.gui.reader import read_pyramid
from napari_mil.gui.views.slide.slide_tab import SlideTab
from napari_mil.slides import Slide
from napari_mil.slides.rendition import Rendition

RENDITION_JOB = "rendition"


class RenditionController:
    """Renders the shown slide anew where another rendition is chosen.

    Parameters
    ----------
    session
        Holds the slide that is shown.
    view
        Tells the rendition that is chosen.
    jobs
        Renders the coarsest level in a thread.
    report
        Told faults of reading that happen later, in napari's reading thread.
    """

    def __init__(
        self,
        session: Session,
        view: SlideTab,
        jobs: JobRunner,
        report: Callable[[str], None],
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._report = report
        view.rendition_chosen.connect(self._on_rendition)

    def _on_rendition(self, key: int, rendition: Rendition) -> None:
        subject = self._session.state.subject(key)
        if subject is None or subject.slide is None:
            return
        slide = subject.slide
        before = subject.rendition
        report = self._report

        def work(tell: Tell, cancel: CancellationToken) -> Pixels:
            return render_pixels(slide, rendition, report)

        def on_failed(text: str, details: str) -> None:
            self._session.apply(actions.set_rendition, key, before)
            self._session.apply(actions.add_notice, text, details)

        def on_succeeded(pixels: Pixels) -> None:
            now = self._session.state.subject(key)
            if now is not None and now.rendition is rendition:
                self._session.apply(actions.set_pixels, key, pixels)
            elif pixels.slide is not None:
                pixels.slide.close()

        self._session.apply(actions.set_rendition, key, rendition)
        job = self._jobs.start(f"{RENDITION_JOB} {key}", work)
        job.succeeded.connect(on_succeeded)
        job.failed.connect(on_failed)


def render_pixels(slide: Slide, rendition: Rendition, report: Callable[[str], None]) -> Pixels:
    """Return the levels of a slide in a rendition, the coarsest one in memory.

    Raises
    ------
    NapariMilError
        If the slide can no longer be read, or its profile cannot be used.
    """
    twin = slide.rendered(rendition)
    levels = read_pyramid(twin, report)
    multiscale = len(levels) > 1
    return Pixels(levels if multiscale else levels[0], multiscale, slide=twin)
