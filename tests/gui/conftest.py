"""One real window for all tests of this room; every test finds it empty."""

from pathlib import Path

import pytest

from tests.conftest import write_pyramid

HERE = Path(__file__).parent
KINDS = ("classify", "tissue", "inspect", "scan", "train")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gui)
            item.add_marker(pytest.mark.xdist_group("window"))


@pytest.fixture(scope="session")
def _window(qapp):
    from napari_mil.gui.app import open_window

    viewer, workbench = open_window()
    viewer.window.resize(1000, 700)
    yield viewer, workbench
    workbench.shut_down()
    viewer.close()


class Bench:
    """The window and what a test does in it."""

    def __init__(self, viewer, workbench, qtbot):
        self.viewer, self.workbench, self.qtbot = viewer, workbench, qtbot
        self.tab, self.slide_tab, self.inspect_tab = (
            workbench.classify_tab,
            workbench.slide_tab,
            workbench.inspect_tab,
        )
        self.train_tab, self.training = workbench.train_tab, workbench.training

    def open(self, path):
        self.workbench.open([Path(path)])
        return self.workbench.state.current

    def choose(self, classifier):
        box = self.tab.classifier_box
        box.setCurrentIndex(box.findData(classifier))

    def click(self, button):
        from qtpy.QtCore import Qt

        tabs = (self.slide_tab, self.tab, self.inspect_tab, self.train_tab)
        self.workbench.tabs.setCurrentWidget(next(tab for tab in tabs if tab.isAncestorOf(button)))
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait_for_jobs(self):
        running, inspection, legend = (
            self.workbench.jobs.is_running,
            self.workbench.inspection,
            self.workbench.legend,
        )
        self.qtbot.waitUntil(
            lambda: not inspection.busy and not legend.pending and not any(map(running, KINDS)),
            timeout=180_000,
        )

    def classify(self):
        self.workbench.state.set_answer(None)
        self.click(self.tab.button)
        self.wait_for_jobs()
        answer = self.workbench.state.answer
        return answer and answer.prediction

    @property
    def overlays(self):
        return {
            layer.name.split(" · ")[-1]: layer
            for layer in self.viewer.layers
            if " · " in layer.name
        }


@pytest.fixture
def bench(_window, qtbot):
    viewer, workbench = _window
    made = Bench(viewer, workbench, qtbot)
    made.choose("breast-malignancy")
    yield made
    for kind in KINDS:
        workbench.jobs.cancel(kind)
    made.wait_for_jobs()
    viewer.layers.clear()
    workbench.classify_tab.set_idle()
    workbench.classify_tab.card.hide()
    tab = workbench.train_tab
    tab.folds_box.setCurrentIndex(0)
    tab.set_fields({"aggregator": "gated-abmil"})
    tab._own_epochs = tab._own_rate = False
    tab.set_empty()
    workbench.training.cohort = None
    workbench._training_wanted = False
    workbench._choose_page()
    viewer.reset_view()


@pytest.fixture
def notices(monkeypatch):
    """Every error notification of the test, instead of a pop-up."""
    from napari_mil.gui import reader, workbench

    said = []
    monkeypatch.setattr(workbench, "show_error", said.append)
    monkeypatch.setattr(reader, "show_error", said.append)
    return said


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


@pytest.fixture
def look(bench, tmp_path):
    """Return a function that looks at a folder, as after choosing it in the dialog."""

    def at(path, epochs=4, out=None, **fields):
        bench.workbench._show_training()
        bench.training.look_at(path)
        bench.wait_for_jobs()
        if bench.training.cohort is not None and bench.train_tab.button.isVisibleTo(
            bench.train_tab
        ):
            bench.training.choose_out(out or tmp_path / "run")
            bench.train_tab.epochs_box.setValue(epochs)
            for name, value in fields.items():
                bench.train_tab.advanced[name].value = value
        return bench.train_tab

    return at
