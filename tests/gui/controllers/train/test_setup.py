"""What is found in a folder, and what follows for the form and the run's folder."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.bags.grid import TileGrid
from napari_mil.events import Watched, Watching
from napari_mil.gui.controllers.train.setup import SCAN_JOB, SetupController, free_folder
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.train import BUSY, details_text, train_snapshot
from napari_mil.gui.model.training import Phase
from napari_mil.gui.model.training_form import Form
from napari_mil.inference.library import find_card, list_classifiers
from napari_mil.settings import Settings
from napari_mil.training.watch_record import WatchRecorder, read_record
from tests.conftest import write_pyramid
from tests.gui.training import FakeJobs, emit, features, slides


@pytest.fixture
def room(tmp_path):
    """A session with the controller on fakes."""
    session = Session(SessionState(cards=tuple(list_classifiers().values())))
    made = SimpleNamespace(
        session=session, view=MagicMock(), jobs=FakeJobs(), show_notes=MagicMock()
    )
    settings = Settings(user_folder=tmp_path / "user")
    made.controller = SetupController(session, made.view, made.jobs, settings, made.show_notes)

    def look(path):
        made.controller.take(path)
        made.jobs.run()
        return session.state.training

    made.look = look
    return made


@pytest.fixture
def training(room):
    return lambda: room.session.state.training


@pytest.fixture
def shown(room):
    return lambda: train_snapshot(room.session.state)


def write_run(folder, source, *, epochs=2, files=("checkpoint.pt",), **config):
    """Write what a run leaves: its configuration, its curves, its checkpoint or classifier."""
    folder.mkdir(parents=True)
    config = {"cohort": str(source), "aggregator": "gated-abmil", **config}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [f"{epoch},{1 / epoch}," for epoch in range(1, epochs + 1)]
    (folder / "history.csv").write_text("\n".join(["epoch,loss,validation_auc", *rows]))
    for file in files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).touch()
    return folder


@pytest.fixture
def finished(monkeypatch):
    """Return a function that writes a finished run, whose card is a shipped one."""
    card = find_card("breast-malignancy")
    monkeypatch.setattr(
        "napari_mil.gui.controllers.train.setup.read_card",
        lambda folder: replace(card, name=folder.parent.name, folder=folder),
    )

    def write(folder, source, **config):
        return write_run(folder, source, files=("classifier/classifier.json",), **config)

    return write


def test_what_was_found_is_shown_before_anything_runs(room, shown, tmp_path):
    root = features(tmp_path)
    (root / "benign" / "broken.npy").write_text("no array")
    room.look(root)
    snapshot = shown()
    assert snapshot.found.facts == "bags: 20 bags · 240 instances · 1 skipped"
    assert snapshot.found.classes == "feature files · benign 10 · malignant 10"
    assert "broken.npy" in snapshot.found.remark
    assert snapshot.found.has_details
    assert snapshot.run.button == "Start"
    assert snapshot.setup.visible


def test_what_was_skipped_can_be_read_in_full(room, tmp_path):
    root = features(tmp_path)
    (root / "benign" / "broken.npy").write_text("no array")
    room.look(root)
    emit(room.view.found.details_requested)
    (title, text), _ = room.show_notes.call_args
    assert title == "bags"
    assert "broken.npy" in text
    assert text == details_text(room.session.state.training)


def test_a_folder_of_one_class_says_why_it_cannot_be_trained_on(room, shown, tmp_path):
    (tmp_path / "one" / "only").mkdir(parents=True)
    np.save(tmp_path / "one" / "only" / "a.npy", np.ones((3, 2)))
    room.look(tmp_path / "one")
    snapshot = shown()
    assert "one class only" in snapshot.run.message
    assert snapshot.run.button == ""
    assert not snapshot.setup.visible
    assert snapshot.found.facts.startswith("one: 1 bag")


def test_a_look_that_comes_to_nothing_leaves_what_was_there(room, training, shown, tmp_path):
    room.look(features(tmp_path))
    room.controller.set_form(replace(training().form, epochs=7))
    before = training().cohort
    room.look(tmp_path / "nowhere")
    snapshot = shown()
    assert "nowhere is no folder" in snapshot.run.message
    assert training().cohort is before
    assert snapshot.setup.epochs == 7
    assert snapshot.run.button == "Start"
    assert snapshot.found.looking == ""


def test_the_bags_are_counted_while_a_folder_is_looked_at(room, shown, tmp_path):
    said = []
    room.session.changed.connect(
        lambda before, after: said.append(train_snapshot(after).found.looking)
    )
    room.look(features(tmp_path, n=2))
    assert said[0] == "Looking at bags…"
    assert "Looking at bags: bag 4 of 4…" in said
    assert shown().found.looking == ""


def test_a_look_that_is_cancelled_leaves_what_was_there(room, training, shown, tmp_path):
    room.controller.take(features(tmp_path))
    assert shown().found.looking
    emit(room.view.found.cancel_requested)
    room.jobs.run()
    assert shown().found.looking == ""
    assert training().cohort is None


def test_an_answer_about_a_folder_that_was_replaced_is_not_listened_to(room, training, tmp_path):
    first = features(tmp_path / "first")
    second = features(tmp_path / "second", n=3)
    room.controller.look_at(first)
    room.controller.look_at(second)
    late = room.jobs.waiting.pop(0)
    late.run()
    assert training().looking == "Looking at bags…", "the second one goes on"
    room.jobs.run()
    assert training().cohort.root == second
    assert len(training().cohort) == 6


def test_slides_without_a_scale_are_asked_about_before_anything_runs(room, shown, tmp_path, noise):
    for label in "ab":
        (tmp_path / "plain" / label).mkdir(parents=True)
        write_pyramid(tmp_path / "plain" / label / f"{label}.tiff", noise[:128, :128], mpp=None)
    room.look(tmp_path / "plain")
    assert shown().setup.needs_scale
    assert "2 slides do not say their scale" in shown().run.message
    form = replace(room.session.state.training.form, slide_mpp="0,5")
    room.controller.set_form(form)
    assert shown().run.message == ""
    assert room.session.state.training.fields["slide_mpp"] == 0.5


def test_names_that_split_evenly_into_patients_are_offered_and_taken(
    room, training, shown, tmp_path
):
    for label in ("benign", "malignant"):
        (tmp_path / "bags" / label).mkdir(parents=True)
        for i in range(8):
            name = f"{label[0]}p{i // 2}_{i}.npy"
            content = np.random.default_rng(ord(label[0]) * 100 + i).normal(size=(3, 2))
            np.save(tmp_path / "bags" / label / name, content)
    room.look(tmp_path / "bags")
    found = shown().found
    assert "8" in found.patients
    assert re.match(found.pattern, "bp0_0")[0] == "bp0"
    emit(room.view.found.pattern_accepted, found.pattern)
    assert shown().found.patients == "Patients from names: 8."
    assert shown().found.pattern == ""
    assert training().fields["patient_pattern"] == found.pattern
    assert "by patient" in shown().setup.folds.entries[1].text


def test_without_patients_folds_are_said_to_be_by_bag(room, shown, tmp_path):
    room.look(features(tmp_path))
    assert "by bag (patients unknown)" in shown().setup.folds.entries[1].text


def test_a_new_folder_begins_without_the_last_ones_curves_and_edits(
    room, training, shown, tmp_path
):
    root = slides(tmp_path / "slides")
    room.session.train(actions.set_cohort, root, "", "")
    form = replace(training().form, slide_mpp="0.25", epochs=3, aggregator="dsmil")
    room.controller.set_form(form.with_advanced("tile_px", "64"))
    room.session.train(actions.choose_watched, str(root.bags[0].path))
    room.session.train(actions.start, tmp_path / "run", None, judges=False, fields={})
    room.session.train(actions.end, Phase.DONE)
    room.look(features(tmp_path))
    assert training().rows == ()
    assert training().watch_path == ""
    assert training().form == Form(aggregator="dsmil")
    assert training().phase is Phase.IDLE
    assert shown().setup.epochs == Form(aggregator="dsmil").recipe.epochs
    assert not shown().watch.visible


def test_files_of_features_settle_encoder_and_tiles(room, training, shown, tmp_path):
    room.look(features(tmp_path))
    room.controller.set_form(training().form.with_advanced("tile_px", "64"))
    assert not {"tile_px", "mpp", "mask", "encoder"} & set(training().fields)
    encoders = shown().setup.encoders
    assert [entry.text for entry in encoders.entries] == ["in the files"]
    assert encoders.reason == "The files hold features already."
    assert {"tile_px", "mpp", "mask"} <= set(dict(shown().setup.settled))


def test_looking_again_at_the_same_folder_keeps_what_was_entered(room, training, tmp_path):
    root = features(tmp_path)
    room.look(root)
    room.controller.set_form(replace(training().form, epochs=3, positive_class="benign"))
    room.look(root)
    assert (training().form.epochs, training().form.positive_class) == (3, "benign")


def test_a_run_is_called_after_its_folder_and_its_method(room, training, tmp_path):
    room.look(features(tmp_path))
    runs = tmp_path / "user" / "runs"
    assert training().out == runs / "bags-gated-abmil"
    room.controller.set_form(Form(aggregator="dsmil", strategy="r-ham"))
    assert training().out == runs / "bags-dsmil-r-ham"
    (runs / "bags-transmil").mkdir(parents=True)
    room.controller.set_form(Form(aggregator="transmil"))
    assert training().out == runs / "bags-transmil-2"


def test_a_chosen_folder_keeps_its_name_whatever_the_method(room, training, tmp_path):
    room.look(features(tmp_path))
    room.controller.choose_out(tmp_path / "mine")
    room.controller.set_form(Form(aggregator="dsmil"))
    assert training().out == tmp_path / "mine"


def test_in_a_folder_with_other_things_a_run_gets_a_folder_of_its_own(room, training, tmp_path):
    room.look(features(tmp_path))
    room.controller.choose_out(tmp_path)
    assert training().out == tmp_path / "bags-gated-abmil"
    assert training().phase is Phase.IDLE


def test_nothing_is_put_anywhere_before_there_are_bags(room, training, tmp_path):
    room.controller.choose_out(tmp_path)
    assert training().out is None


def test_starting_from_a_classifier_takes_its_method_and_its_tiles(room, training, shown, tmp_path):
    room.session.train(actions.set_cohort, slides(tmp_path / "slides"), "", "")
    form = Form(aggregator="dsmil", encoder="lenet5").with_advanced("tile_px", "64")
    room.controller.set_form(form)
    room.controller.start_from("breast-malignancy")
    fields = training().fields
    assert fields["start_from"] == "breast-malignancy"
    assert fields["aggregator"] == "gated-abmil"
    assert not {"encoder", "tile_px", "mpp"} & set(fields)
    assert "breast-malignancy" in shown().setup.aggregators.reason
    assert "breast-malignancy" in shown().setup.encoders.reason
    room.controller.start_from("")
    assert training().start is None
    assert training().fields["encoder"] == "lenet5"
    assert shown().setup.aggregators.reason == ""


def test_a_start_that_does_not_exist_is_a_fresh_one(room, training, tmp_path):
    room.look(features(tmp_path))
    room.controller.start_from("no-such-classifier")
    assert training().form.start_from == ""
    assert training().start is None


def test_only_classifiers_that_take_such_bags_are_offered_as_a_start(room, shown, tmp_path, noise):
    from PIL import Image

    for label in "ab":
        for i in range(2):
            (tmp_path / "images" / label / str(i)).mkdir(parents=True)
            Image.fromarray(noise[:40, :40]).save(tmp_path / "images" / label / str(i) / "0.png")
    room.session.train(actions.set_cohort, slides(tmp_path / "slides"), "", "")
    assert "breast-malignancy" in [entry.key for entry in shown().setup.starts.entries]
    room.look(tmp_path / "images")
    assert "breast-malignancy" not in [entry.key for entry in shown().setup.starts.entries]
    assert "mask" in dict(shown().setup.settled)
    assert not shown().watch.visible


def test_an_interrupted_run_opens_with_its_settings_and_can_go_on(room, training, shown, tmp_path):
    root = features(tmp_path)
    run = write_run(tmp_path / "run", root, aggregator="dsmil", epochs=3, overlap=0.5)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "epochs": 40}))
    room.look(run)
    assert training().phase is Phase.INTERRUPTED
    assert shown().run.button == "Resume"
    assert training().form.aggregator == "dsmil"
    assert shown().setup.epochs == 40
    assert [row["epoch"] for row in training().rows] == [1, 2, 3]
    assert training().rows[0] == {"epoch": 1.0, "loss": 1.0, "validation_auc": None}
    assert training().out == run
    assert training().stored["overlap"] == 0.5, "also what the form does not show"


def test_a_finished_run_opens_with_its_classifier(room, training, shown, tmp_path, finished):
    run = finished(tmp_path / "run", features(tmp_path), epochs=3, overlap=0.5)
    room.look(run)
    assert training().phase is Phase.DONE
    assert training().result.card.name == "run"
    assert training().result.installed == "", "it is installed when it is used"
    assert shown().run.second == "Evaluate"
    assert shown().run.button == "Set up another run"
    assert shown().result.name == "run"
    assert training().stored["overlap"] == 0.5, "an evaluation trains in the same way"


def write_slides(root, noise):
    """Write three small slides of each of two classes; return the first."""
    for label in ("left", "right"):
        for k in range(3):
            (root / label).mkdir(parents=True, exist_ok=True)
            write_pyramid(root / label / f"{label}{k}.tiff", noise)
    return root / "left" / "left0.tiff"


def keep_epochs(run, slide):
    """Keep two epochs of a slide of two tiles, as a run does."""
    cells = np.array([[0, 0], [0, 1]])
    grid = TileGrid(cells[:, ::-1] * 64, cells, (1, 2), 64, 0.5, 64.0, 64.0, 0)
    recorder = WatchRecorder(run, slide, Watching(grid, "training"), list)
    for epoch, masked in ((1, [True, False]), (2, [True, True])):
        values = np.array([0.2, epoch / 3], np.float32)
        masks = {"high": np.array(masked)}
        recorder.keep(epoch, Watched(values, "score", np.array([0.6], np.float32), masks))


def test_the_epochs_of_a_watched_slide_are_read_with_the_run(
    room, training, shown, tmp_path, noise
):
    slide = write_slides(tmp_path / "slides", noise)
    run = write_run(tmp_path / "run", tmp_path / "slides")
    keep_epochs(run, slide)
    room.look(run)
    seen = shown().watch
    assert (seen.first, seen.last, seen.shown) == (1, 2, 2)
    assert training().watch.path == slide
    assert seen.bags.current == str(slide)
    assert seen.facts.endswith(
        "2 of 2 tiles masked · 50 % of the masked and 100 % of the top tenth as in the epoch before"
    )


def test_epochs_of_a_run_that_was_left_meanwhile_are_not_shown(room, training, tmp_path, noise):
    slide = write_slides(tmp_path / "slides", noise)
    run = write_run(tmp_path / "run", tmp_path / "slides")
    keep_epochs(run, slide)
    room.look(run)
    record = read_record(run)
    room.look(tmp_path / "slides")
    room.session.train(actions.set_record, run, record)
    assert training().watch is None


def test_a_run_that_was_judged_is_not_judged_again(room, shown, tmp_path, finished):
    run = finished(tmp_path / "run", features(tmp_path))
    (run / "evaluation.json").touch()
    room.look(run)
    assert shown().run.second == ""


def test_a_reopened_run_counts_only_what_differs_from_its_recipe(room, shown, tmp_path):
    recipe = Form().recipe
    run = write_run(
        tmp_path / "run", features(tmp_path), weight_decay=0.5, patience=recipe.patience
    )
    room.look(run)
    assert shown().setup.n_changed == 1
    assert room.session.state.training.form.advanced == {"weight_decay": "0.5"}


def test_a_finished_run_whose_bags_are_gone_still_shows_what_came_out(
    room, training, shown, tmp_path, finished
):
    room.look(finished(tmp_path / "run", tmp_path / "gone", epochs=1))
    assert training().phase is Phase.DONE
    assert "cannot be trained on any more" in shown().run.message
    assert shown().run.button == "", "there is nothing to set another run up with"
    assert shown().run.second == ""
    assert shown().result.name == "run"
    assert len(training().rows) == 1


def test_an_interrupted_run_whose_bags_are_gone_says_what_to_do(room, shown, tmp_path):
    room.look(write_run(tmp_path / "run", tmp_path / "gone"))
    assert "is no folder" in shown().run.message
    assert "Folder…" in shown().run.message
    assert shown().run.button == ""


@pytest.mark.parametrize("text", ["", "[]", "{", '{"aggregator": "dsmil"}'])
def test_a_folder_that_holds_no_run_says_so(room, shown, tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    room.controller.open_run(tmp_path)
    assert "holds no training run" in shown().run.message
    assert not room.jobs.is_running(SCAN_JOB)


def test_an_interrupted_run_is_not_offered_to_other_bags(room, training, shown, tmp_path):
    run = write_run(tmp_path / "run", features(tmp_path / "own"))
    (run / "cohort.json").write_text(json.dumps({"bags": [["other content"]]}))
    room.look(features(tmp_path / "other", n=2))
    before = training().out
    room.controller.choose_out(run)
    assert "begun with other bags" in shown().run.message
    assert training().phase is Phase.IDLE
    assert training().out == before


def test_an_interrupted_run_goes_on_with_its_bags_where_they_were_moved(
    room, training, shown, tmp_path
):
    root = features(tmp_path)
    room.look(root)
    run = write_run(tmp_path / "run", tmp_path / "gone")
    config = {"cohort": str(tmp_path / "gone"), "aggregator": "dsmil", "epochs": 4000}
    (run / "config.json").write_text(json.dumps(config))
    (run / "cohort.json").write_text(
        json.dumps({"bags": [[bag.content] for bag in training().cohort.bags]})
    )
    room.controller.choose_out(run)
    assert training().phase is Phase.INTERRUPTED
    assert shown().setup.epochs == 4000, "the settings are that run's"
    assert training().form.aggregator == "dsmil"
    assert training().stored == config


def test_a_run_whose_card_cannot_be_read_is_a_notice(room, training, tmp_path):
    run = write_run(tmp_path / "run", features(tmp_path), files=("classifier/classifier.json",))
    room.look(run)
    assert room.session.state.notices
    assert training().result is None


def test_a_dropped_run_is_opened_and_a_dropped_folder_is_looked_at(room, training, tmp_path):
    root = features(tmp_path)
    emit(room.view.path_dropped, str(root))
    room.jobs.run()
    assert training().phase is Phase.IDLE
    emit(room.view.path_dropped, str(write_run(tmp_path / "run", root)))
    room.jobs.run()
    assert training().phase is Phase.INTERRUPTED


def test_a_free_folder_is_the_next_with_a_number(tmp_path):
    assert free_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert free_folder(tmp_path / "run") == tmp_path / "run-3"


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED, Phase.STOPPING])
def test_nothing_takes_the_place_of_a_run_that_is_under_way(room, training, tmp_path, phase):
    root = features(tmp_path)
    room.look(root)
    before = training().cohort
    room.session.train(actions.set_phase, phase)
    room.look(features(tmp_path / "other"))
    room.look(write_run(tmp_path / "run", root))
    assert training().cohort is before
    assert training().phase is phase
    assert [notice.text for notice in room.session.state.notices] == [BUSY]
