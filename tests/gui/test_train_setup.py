"""The Train tab before anything runs: what was found, what is chosen, what cannot be."""

import json
import threading

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_mil.encoders import list_encoders
from napari_mil.gui.controllers import training as controller
from napari_mil.gui.views.train_tab import DONE, IDLE
from napari_mil.networks import BACKBONES
from tests.conftest import write_pyramid
from tests.gui.training import TILES, features


def test_names_that_the_tab_offers_are_those_of_the_registries():
    offered = {name for name, _ in controller.ENCODERS if name}
    assert offered == set(list_encoders()) | set(BACKBONES)


def test_what_was_found_is_shown_before_anything_runs(bench, look, regions, spoil):
    spoil("text", regions / "left" / "broken.svs")
    tab = look(regions)
    assert tab.facts.text() == "regions: 12 bags · 1 skipped"
    assert "left 6 · right 6" in tab.classes.text()
    assert "broken.svs" in tab.remark.text()
    assert tab.details_button.isVisibleTo(tab)
    assert tab.state == IDLE
    assert bench.training.history.rows == [] or not bench.workbench.jobs.is_running("train")


def test_a_folder_that_cannot_be_trained_on_says_why_and_offers_nothing(bench, look, tmp_path):
    (tmp_path / "one" / "only").mkdir(parents=True)
    np.save(tmp_path / "one" / "only" / "a.npy", np.ones((3, 2)))
    tab = look(tmp_path / "one")
    assert "one class only" in tab.message.text()
    assert not tab.button.isVisibleTo(tab)
    tab = look(tmp_path / "nowhere")
    assert "is no folder" in tab.message.text()


def test_slides_without_a_scale_are_asked_about_before_anything_runs(bench, look, tmp_path, noise):
    for label in "ab":
        (tmp_path / "plain" / label).mkdir(parents=True)
        write_pyramid(tmp_path / "plain" / label / f"{label}.tiff", noise[:128, :128], mpp=None)
    tab = look(tmp_path / "plain", epochs=1, **TILES)
    assert tab.scale_edit.isVisibleTo(tab)
    assert "2 slides do not say their scale" in tab.message.text()
    bench.click(tab.button)
    assert not bench.workbench.jobs.is_running("train")
    tab.scale_edit.setText("0,5")
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("rate", "abc"),
        ("rate", "-1"),
        ("patience", "2.5"),
        ("weight_decay", "much"),
        ("bags_per_step", "0"),
    ],
)
def test_bad_numbers_are_named_by_their_label_at_once(bench, look, tmp_path, field, text):
    tab = look(features(tmp_path))
    if field == "rate":
        tab.rate_edit.setText(text)
    else:
        tab.advanced[field].value = text
    bench.click(tab.button)
    assert not bench.workbench.jobs.is_running("train")
    assert "not" in tab.message.text()
    assert "_" not in tab.message.text(), "words of the window, not of the code"


def test_the_shares_of_a_strategy_can_be_set_and_come_back_with_the_run(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    form = tab.advanced
    tab._fold.expand(animate=False)
    assert not form["high"].native.isVisible()
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("r-ham"))
    assert [
        name for name in ("high", "low", "random", "consistency") if form[name].native.isVisible()
    ] == ["high", "random", "consistency"]
    form["low"].value = "0.9"  # of another strategy: not shown, not used
    form["random"].value = "1"
    bench.click(tab.button)
    assert "Masked: random is a share of at least 0 and below 1, not 1.0" in tab.message.text()
    form["random"].value, form["consistency"].value = "0,25", "0.3"
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["strategy_options"] == {"random": 0.25, "consistency": 0.3}
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert (form["random"].value, form["high"].value) == ("0.25", "")
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("embedding-mean"))
    assert "strategy_options" not in tab.fields


def test_the_streams_of_dsmil_can_learn_in_turns(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=2)
    assert "alternate_streams" not in tab.fields, "attention MIL has one"
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil"))
    tab.epochs_box.setValue(2)
    tab.advanced["alternate_streams"].value = True
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE, tab.message.text()
    terms = [
        sorted(
            name for name, value in row.items() if name.startswith("loss: ") and value is not None
        )
        for row in bench.training.history.rows
    ]
    assert terms[0] != terms[1], "another stream in each epoch"
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.advanced["alternate_streams"].value is True
    tab.strategy_box.setCurrentIndex(tab.strategy_box.findData("ham"))
    assert "alternate_streams" not in tab.fields, "not under a strategy"


def drop(widget, *paths):
    """Drop files onto a widget; say whether it took them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at, action, left, none = (
        QPoint(40, 40),
        Qt.DropAction.CopyAction,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    enter = QDragEnterEvent(at, action, data, left, none)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(at), action, data, left, none))
    return enter.isAccepted()


def test_a_dropped_folder_is_looked_at_and_a_dropped_run_is_opened(bench, look, tmp_path):
    root = features(tmp_path)
    bench.workbench._show_training()
    assert drop(bench.train_tab, root)
    bench.wait_for_jobs()
    assert bench.train_tab.facts.text() == "bags: 20 bags · 240 instances"
    assert not drop(bench.train_tab, root / "benign" / "benign0.npy"), (
        "a bag is no annotated folder"
    )
    assert not drop(bench.train_tab, root, tmp_path)
    tab = look(root, epochs=1)
    bench.click(tab.button)
    assert not drop(tab, tmp_path), "not while it trains"
    bench.wait_for_jobs()
    tab.set_empty()
    assert drop(tab, tmp_path / "run")
    bench.wait_for_jobs()
    assert tab.state == DONE


def test_dialogs_begin_where_they_ended(bench, tmp_path, monkeypatch):
    root = features(tmp_path)
    began = []
    monkeypatch.setattr(
        QFileDialog,
        "getExistingDirectory",
        lambda parent, title, folder: began.append(folder) or str(root),
    )
    for _ in range(2):
        bench.workbench._show_training()
        bench.click(bench.train_tab.folder_button)
        bench.wait_for_jobs()
    assert began[-1] == str(root)
    assert bench.training.cohort.root == root


def test_an_answer_about_a_folder_that_was_replaced_is_not_listened_to(
    bench, tmp_path, monkeypatch
):
    first, second = features(tmp_path / "first"), features(tmp_path / "second", n=3)
    release, scan = threading.Event(), controller.scan_annotated_folder

    def slow(path, on_bag):
        if path == first:
            release.wait(30)
        return scan(path, on_bag)

    monkeypatch.setattr(controller, "scan_annotated_folder", slow)
    bench.workbench._show_training()
    bench.training.look_at(first)
    bench.qtbot.wait(50)
    late = bench.training._scan
    bench.training.look_at(second)
    bench.qtbot.waitUntil(lambda: bench.training.cohort is not None, timeout=60_000)
    ended = []
    late.ended.connect(lambda: ended.append(1))
    release.set()
    bench.qtbot.waitUntil(lambda: bool(ended), timeout=60_000)
    assert bench.training.cohort.root == second
    assert "6 bags" in bench.train_tab.facts.text()
    assert bench.train_tab.button.isVisibleTo(bench.train_tab)


def test_a_look_that_comes_to_nothing_leaves_what_was_there(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab.epochs_box.setValue(7)
    before = bench.training.cohort
    bench.training.look_at(tmp_path / "nowhere")
    bench.wait_for_jobs()
    assert "nowhere is no folder" in tab.message.text()
    assert (tab.state, tab.epochs_box.value(), bench.training.cohort) == (IDLE, 7, before)
    assert "20 bags" in tab.facts.text()
    assert tab.button.isVisibleTo(tab)


def test_the_wheel_scrolls_past_boxes_without_the_keyboard(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab._fold.expand(animate=False)
    for box in (
        tab.aggregator_box,
        tab.epochs_box,
        tab.advanced["validation"].native,
        tab.advanced["select"].native,
    ):
        box.clearFocus()
        said = getattr(box, "currentIndex", getattr(box, "value", None))
        before = said()
        at, none = QPointF(box.rect().center()), Qt.MouseButton.NoButton
        turn = QWheelEvent(
            at,
            QPointF(box.mapToGlobal(box.rect().center())),
            QPoint(0, -120),
            QPoint(0, -120),
            none,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(box, turn)
        assert said() == before
        assert not turn.isAccepted(), "it goes on to the scroll area"


def test_a_new_folder_begins_without_the_last_ones_curves_overlay_and_edits(
    bench, look, regions, tmp_path
):
    tab = look(regions, epochs=3, **TILES)
    tab.watch_box.setCurrentIndex(tab.watch_box.findData(str(regions / "left" / "region00.tiff")))
    bench.click(tab.button)
    bench.wait_for_jobs()
    assert tab.state == DONE
    bench.viewer.layers.clear()
    tab.scale_edit.setText("0.25")
    look_again = features(tmp_path)
    bench.training.look_at(look_again)
    bench.wait_for_jobs()
    assert not tab.epoch_slider.isEnabled()
    assert bench.training.history.rows == []
    assert not bench.training.history._dock.isVisible()
    assert tab.scale_edit.text() == ""
    assert tab.fields["epochs"] == 100, "as the recipe says"
    assert not {"tile_px", "mpp", "mask"} & set(tab.fields), "the files hold features"
    assert tab.encoder_box.currentText() == "in the files"


def test_too_many_folds_are_noticed_before_anything_is_trained(bench, look, tmp_path):
    tab = look(features(tmp_path, n=4), epochs=1)
    tab.folds_box.setCurrentIndex(tab.folds_box.findData("10"))
    bench.click(tab.button)
    assert "8 patients cannot be put into 10 folds" in tab.message.text()
    assert not bench.workbench.jobs.is_running("train")


def test_a_complaint_goes_with_its_cause(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab.advanced["patience"].value = "soon"
    bench.click(tab.button)
    assert "Patience" in tab.message.text()
    assert tab.advanced["patience"].native.isVisibleTo(tab), "the fold opens where the number is"
    tab.advanced["patience"].value = "30"
    assert not tab.message.isVisibleTo(tab)


def test_a_reopened_run_counts_only_what_differs_from_its_recipe(bench, look, tmp_path):
    tab = look(features(tmp_path), epochs=3)
    tab.advanced["weight_decay"].value = "0.5"
    bench.click(tab.button)
    bench.wait_for_jobs()
    bench.training.open_run(tmp_path / "run")
    bench.wait_for_jobs()
    assert tab._fold.text() == "Advanced (1 changed)"
    assert (
        tab.advanced["patience"].value,
        tab.advanced["weight_decay"].value,
        tab.epochs_box.value(),
    ) == ("", "0.5", 3)


def test_only_classifiers_that_take_such_bags_are_offered_as_a_start(bench, look, tmp_path, noise):
    from PIL import Image

    for label in "ab":
        for i in range(2):
            (tmp_path / "images" / label / str(i)).mkdir(parents=True)
            Image.fromarray(noise[:40, :40]).save(tmp_path / "images" / label / str(i) / "0.png")
    tab = look(tmp_path / "images")
    assert tab.start_box.findData("breast-malignancy") < 0, "it takes tiles of slides"
    assert not tab.advanced["mask"].enabled


def test_a_recipe_comes_with_the_method_and_leaves_the_users_own_numbers(bench, look, tmp_path):
    tab = look(features(tmp_path))
    tab._own_epochs = tab._own_rate = False
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("transmil"))
    assert (tab.epochs_box.value(), tab.rate_edit.text()) == (200, "0.0002")
    assert "Shao" in tab.recipe.text()
    tab.epochs_box.setValue(7)
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("dsmil-released"))
    assert (tab.epochs_box.value(), tab.rate_edit.text()) == (7, "0.0002")
    tab.aggregator_box.setCurrentIndex(tab.aggregator_box.findData("hamil"))
    assert not tab.strategy_box.isEnabled()
    assert tab.strategy_box.toolTip()
    assert not tab.encoder_box.isEnabled(), "features are there already"
    assert "encoder" not in tab.fields
