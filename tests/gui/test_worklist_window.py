"""A worklist in the real window: run, close, open again, double click, ask why."""

import json
import shutil

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_mil.gui.controllers.classification import CLASSIFY_JOB
from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import stale_reasons
from napari_mil.gui.model.snapshots.worklist import Column
from napari_mil.gui.model.worklist import Listing, Phase
from napari_mil.gui.samples import CASE, sample_path
from napari_mil.inference import pipeline
from napari_mil.worklist.states import ResultState
from tests.cli.command import run as run_command
from tests.conftest import write_pyramid


@pytest.fixture
def slides(tmp_path, slide_path):
    """Two small real regions in a folder."""
    from napari_mil import open_slide

    folder = tmp_path / "slides"
    folder.mkdir()
    with open_slide(slide_path) as slide:
        for k, corner in enumerate([(1000, 1700), (1100, 2300)]):
            pixels = slide.read_region(corner, 0, (320, 320))
            write_pyramid(folder / f"region{k}.tiff", pixels)
    return folder


def states(bench):
    return [row.state for row in bench.state.listing.rows]


def run_all(bench):
    bench.click(bench.worklist_tab.button)
    bench.wait()


def double_click(bench, place):
    table = bench.worklist_tab.table
    bench.workbench.show_tab(bench.worklist_tab)
    index = table.proxy.index(place, Column.CLASS)
    spot = table.visualRect(index).center()
    bench.qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    bench.qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    bench.wait()


@pytest.fixture
def forbid_classifying(monkeypatch):
    """Return a function after which nothing may be classified."""

    def forbid():
        monkeypatch.setattr(pipeline, "classify", lambda *_, **__: pytest.fail("computed"))
        monkeypatch.setattr(
            "napari_mil.inference.embedding.embed_tiles",
            lambda *_, **__: pytest.fail("encoded"),
        )

    return forbid


def test_a_folder_is_run_and_its_answers_open_without_computing(bench, slides, forbid_classifying):
    bench.workbench.worklist.open(slides)
    bench.wait()
    assert bench.workbench.tabs.currentWidget() is bench.worklist_tab
    assert states(bench) == [ResultState.NOTHING, ResultState.NOTHING]
    bench.workbench.worklist.choose_classifier("breast-malignancy")
    run_all(bench)
    assert states(bench) == [ResultState.DONE, ResultState.DONE]
    out = slides.with_name("slides-results")
    stored = json.loads((out / "region1" / "prediction.json").read_text())
    # As after closing the program: nothing is known but what is on disk.
    bench.session.change_listing(lambda _: Listing())
    bench.open(out)
    assert states(bench) == [ResultState.DONE, ResultState.DONE]
    forbid_classifying()
    started = []
    start = bench.workbench.jobs.start
    bench.workbench.jobs.start = lambda kind, *rest, **more: (
        started.append(kind) or start(kind, *rest, **more)
    )
    try:
        double_click(bench, 1)
    finally:
        del bench.workbench.jobs.start
    assert CLASSIFY_JOB not in started
    answer = bench.state.shown_answer
    assert bench.state.current_subject.path == slides / "region1.tiff"
    assert list(answer.prediction.probabilities) == pytest.approx(
        list(stored["probabilities"].values())
    )
    assert stale_reasons(bench.state, answer) == ()
    assert len(bench.overlays) == 1
    assert bench.classify_tab.card.isVisibleTo(bench.classify_tab)
    bench.click(bench.inspect_tab.evidence.ask_button)
    bench.wait()
    assert bench.state.shown_answer.evidence is not None, "its features came from the cache"
    assert bench.notices == []


def test_an_answer_of_another_classifier_is_shown_as_stale(bench, slides, forbid_classifying):
    bench.workbench.worklist.open(slides)
    bench.wait()
    bench.workbench.worklist.choose_classifier("breast-malignancy")
    run_all(bench)
    bench.workbench.worklist.choose_classifier("colon-epithelium")
    bench.wait()
    assert states(bench) == [ResultState.STALE, ResultState.STALE]
    forbid_classifying()
    double_click(bench, 0)
    answer = bench.state.shown_answer
    assert stale_reasons(bench.state, answer) == ("colon-epithelium is chosen now",)
    bench.workbench.show_tab(bench.classify_tab)
    assert "Out of date" in " ".join(bench.classify_tab.card.texts)


def test_a_run_is_paused_goes_on_and_is_stopped(bench, slides, monkeypatch):
    bench.forget_features()
    bench.workbench.worklist.open(slides)
    bench.wait()
    tab = bench.worklist_tab
    bench.click(tab.button)
    bench.click(tab.pause_button)
    assert bench.state.listing.phase is Phase.PAUSED
    assert tab.pause_button.text() == "Go on"
    bench.click(tab.pause_button)
    bench.click(tab.button)
    bench.wait()
    assert bench.state.listing.phase is Phase.IDLE
    run_all(bench)
    assert states(bench) == [ResultState.DONE, ResultState.DONE]


def test_the_slide_that_is_classified_by_hand_does_not_disturb_the_list(bench, slides, slide_path):
    bench.workbench.worklist.open(slides)
    bench.wait()
    bench.open(slide_path)
    bench.session.apply(actions.choose_classifier, "breast-malignancy")
    bench.click(bench.worklist_tab.button)
    prediction = bench.classify("breast-malignancy")
    assert prediction is not None
    assert states(bench) == [ResultState.DONE, ResultState.DONE]


def test_the_start_page_leads_to_an_empty_worklist(bench):
    bench.workbench.start_page.worklist_requested.emit()
    assert bench.worklist_tab.folder_button.isVisible()
    assert bench.workbench.tabs.currentWidget() is bench.worklist_tab
    assert np.all(bench.worklist_tab.size().width() >= 370)


def test_a_folder_of_images_opens_with_its_answer_and_its_features(
    bench, tmp_path, forbid_classifying
):
    shutil.copytree(sample_path(CASE), tmp_path / "cases" / "case-1")
    bench.workbench.worklist.open(tmp_path / "cases")
    bench.wait()
    assert "not folders of images" in bench.state.listing.rows[0].problem
    bench.workbench.worklist.choose_classifier("colorectal-biopsy")
    bench.wait()
    run_all(bench)
    assert states(bench) == [ResultState.DONE]
    forbid_classifying()
    double_click(bench, 0)
    answer = bench.state.shown_answer
    assert answer.prediction.names == bench.state.current_subject.images.names
    assert answer.prediction.features is not None
    assert stale_reasons(bench.state, answer) == ()
    assert len(bench.overlays) == 1


def test_what_the_command_line_wrote_opens_from_its_folder(bench, slides, tmp_path):
    out = tmp_path / "by command"
    done = run_command(
        *("classify", *sorted(slides.iterdir()), "--classifier", "breast-malignancy"),
        *("--device", "cpu", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    bench.open(out)
    assert states(bench) == [ResultState.DONE, ResultState.DONE]
    double_click(bench, 0)
    assert bench.state.current_subject.path == slides / "region0.tiff"
    assert stale_reasons(bench.state, bench.state.shown_answer) == ()
    assert not (out / "worklist.csv").exists(), "reading writes nothing"
