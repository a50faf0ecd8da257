"""One real window for all tests of this room; every test finds it empty."""

from pathlib import Path

import pytest

from napari_mil.disk_cache import clear
from napari_mil.gui.model.layer_specs import UNDERLAY
from napari_mil.gui.remembered_scales import FILE as SCALES
from napari_mil.settings import Settings
from tests.conftest import write_pyramid

HERE = Path(__file__).parent
QT_FIXTURES = {"qapp", "qtbot", "_window"}


def pytest_collection_modifyitems(items):
    """Run tests with Qt once more under the other binding, those of the window in one process."""
    for item in items:
        if HERE in item.path.parents and QT_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.gui)
            if "_window" in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group("window"))


@pytest.fixture(scope="session")
def _window(qapp):
    from napari_mil.gui.app import open_window

    viewer, workbench = open_window()
    viewer.window.resize(1366, 768)
    yield viewer, workbench
    workbench.shut_down()
    viewer.close()


class Bench:
    """The window and what a test does in it."""

    def __init__(self, viewer, workbench, qtbot):
        self.viewer = viewer
        self.workbench = workbench
        self.qtbot = qtbot
        self.session = workbench.session
        self.slide_tab = workbench.slide_tab
        self.classify_tab = workbench.classify_tab
        self.inspect_tab = workbench.inspect_tab
        self.train_tab = workbench.train_tab
        self.worklist_tab = workbench.worklist_tab

    @property
    def state(self):
        return self.session.state

    @property
    def notices(self):
        """Sentences that are shown, the newest first."""
        return self.workbench.notices.texts

    def forget_features(self):
        """Empty the cache of the window, which lives longer than a test."""
        clear(self.workbench.classification._settings.cache_folder)

    def open(self, *paths, mpp=None):
        """Open paths as after a drop; return the subject that is shown then."""
        self.workbench.open([Path(path) for path in paths], mpp)
        self.wait()
        return self.state.current_subject

    def click(self, button):
        """Bring the tab of a button to the front and click it with the mouse."""
        from qtpy.QtCore import Qt

        tabs = (
            *(self.slide_tab, self.classify_tab, self.inspect_tab),
            *(self.train_tab, self.worklist_tab),
        )
        for tab in tabs:
            if tab.isAncestorOf(button):
                self.workbench.show_tab(tab)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def show_panel(self, panel):
        """Open a panel by its button in Inspect; return its view once everything is there."""
        self.click(self.inspect_tab.panel_buttons[panel])
        self.wait_until(lambda: panel in self.state.panels)
        self.wait()
        return {each.panel: each for each in self.workbench.panels.controllers}[panel].view

    def wait(self):
        """Wait until no job runs and every layer is there."""
        self.qtbot.waitUntil(lambda: not self.workbench.busy, timeout=180_000)

    def wait_until(self, condition):
        self.qtbot.waitUntil(condition, timeout=180_000)

    def classify(self, classifier=None):
        """Choose a classifier and click Classify; return the prediction that is shown then."""
        if classifier is not None:
            self.classify_tab.classifier_box.choose(classifier)
        self.click(self.classify_tab.button)
        self.wait()
        answer = self.state.shown_answer
        return answer and answer.prediction

    @property
    def visible_layers(self):
        """Names of the layers that are seen, but for the coarse ones below slides."""
        return [layer.name for layer in self._shown_layers()]

    def _shown_layers(self):
        below = [
            self.workbench.book.layer(UNDERLAY, str(subject.key)) for subject in self.state.subjects
        ]
        return [layer for layer in self.viewer.layers if layer.visible and layer not in below]

    def layer(self, beginning):
        """Return the one visible layer whose name begins so."""
        (found,) = [each for each in self._shown_layers() if each.name.startswith(beginning)]
        return found

    @property
    def overlays(self):
        """Visible layers that colour instances."""
        keys = (("overlay",), ("groups",))
        layers = [self.workbench.book.layer(*key) for key in keys]
        return [layer for layer in layers if layer is not None and layer.visible]

    @property
    def listed(self):
        """Names in napari's layer list, as a person sees them from the bottom up."""
        view = self.viewer.window._qt_viewer.layers
        n = len(self.viewer.layers)
        return [
            layer.name
            for place, layer in enumerate(self.viewer.layers)
            if not view.isRowHidden(n - 1 - place)
        ]


@pytest.fixture
def bench(_window, qtbot):
    from napari_mil.gui.model.session import SessionState
    from napari_mil.gui.model.training import Training

    viewer, workbench = _window
    made = Bench(viewer, workbench, qtbot)
    cards = made.state.cards
    form = made.state.training.form
    made.classify_tab.classifier_box.choose("breast-malignancy")
    yield made
    workbench.run.let_go()
    for kind in list(workbench.jobs._running):
        workbench.jobs.cancel(kind)
    made.wait()
    workbench.panels.close()
    made.session.apply(
        lambda state: SessionState(
            cards=cards,
            classifier="breast-malignancy",
            next_key=state.next_key,
            training=Training(form=form),
        )
    )
    made.wait()
    workbench.show_tab(workbench.slide_tab)
    # Scales that a test entered, and features, are nothing to the next one.
    made.forget_features()
    (Settings().user_folder / SCALES).unlink(missing_ok=True)


@pytest.fixture
def regions(tmp_path, slide_path):
    """Regions of a real slide in two classes, annotated in one."""
    from napari_mil import open_slide

    with open_slide(slide_path) as slide:
        for k in range(12):
            folder = tmp_path / "regions" / ("left", "right")[k % 2]
            folder.mkdir(parents=True, exist_ok=True)
            write_pyramid(
                folder / f"region{k:02d}.tiff",
                slide.read_region((400 + 700 * (k % 2), 200 + 220 * (k // 2)), 0, (256, 256)),
            )
    return tmp_path / "regions"
