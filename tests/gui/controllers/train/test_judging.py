"""Figures of a run, and scores in a process of their own."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from napari_mil.errors import TrainingError
from napari_mil.events import Advanced, Started
from napari_mil.gui.controllers.train import judging as controllers
from napari_mil.gui.controllers.train.judging import JudgingController
from napari_mil.gui.model import actions as session_actions
from napari_mil.gui.model import judging as actions
from napari_mil.gui.model import training as training_actions
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.training import Result
from napari_mil.gui.views.train.judging_view import JudgingView
from napari_mil.inference.library import find_card
from napari_mil.settings import Settings
from napari_mil.training.evaluation.predictions_table import PredictionsTable
from napari_mil.training.process import ChildDefectError, ScoredCohort
from tests.gui.judgements import judgement
from tests.gui.training import FakeJobs, emit, slides
from tests.training.evaluation.sample_answers import answers

CARD = find_card("breast-malignancy")


@pytest.fixture
def room(monkeypatch, tmp_path):
    session = Session()
    made = SimpleNamespace(
        session=session,
        view=MagicMock(spec=JudgingView),
        jobs=FakeJobs(),
        open_paths=MagicMock(),
        beside=MagicMock(),
        root=tmp_path,
    )
    monkeypatch.setattr(controllers, "work_beside", made.beside)
    made.controller = JudgingController(
        session, made.view, made.jobs, Settings(user_folder=tmp_path / "user"), made.open_paths
    )
    session.apply(session_actions.add_card, CARD)
    return made


def judging(room):
    return room.session.state.judging


def write_figures(folder, file="evaluation.json"):
    folder.mkdir(parents=True)
    entries = {"headline": "AUC 0.80", "metrics": {}, "remarks": []}
    (folder / file).write_text(json.dumps(entries))
    (folder / "predictions.csv").write_text(PredictionsTable.of(answers()).text(), "utf-8")
    return folder


def come_to(room, folder):
    result = Result(CARD, folder / "classifier")
    room.session.train(training_actions.set_result, result)


def test_the_figures_of_the_run_that_is_shown_are_read_and_go_with_it(room):
    cohort = slides(room.root / "slides")
    room.session.train(training_actions.set_cohort, cohort, "", "")
    come_to(room, write_figures(room.root / "run"))
    room.jobs.run()
    shown = judging(room).judgement
    assert shown.stored.headline == "AUC 0.80"
    assert shown.root == cohort.root
    room.session.train(training_actions.set_up_again)
    assert judging(room).judgement is None


def test_a_run_that_was_not_evaluated_shows_none(room):
    come_to(room, room.root / "run")
    assert not room.jobs.waiting
    assert judging(room).judgement is None


def test_a_score_is_made_beside_the_window_and_shown(room):
    folder = write_figures(room.root / "score", "score.json")
    room.beside.return_value = ScoredCohort(folder, room.root / "other", 0)
    emit(room.view.mapping_written, "Tumor=malignant")
    room.controller.score(room.root / "other")
    assert judging(room).scoring == "other"
    room.jobs.run()
    request = room.beside.call_args.args[0]
    assert request.mapping == {"Tumor": "malignant"}
    assert request.classifier == CARD
    assert request.out.name == "other-by-breast-malignancy"
    assert judging(room).scoring == ""
    assert judging(room).judgement.path_of(0) == room.root / "other" / "folder" / "bag 0.npy"
    assert judging(room).message == ""


def test_a_score_stays_when_a_run_goes(room):
    room.session.judge(actions.show, judgement(folder=Path("/scores/other")))
    come_to(room, room.root / "run")
    room.session.train(training_actions.set_up_again)
    assert judging(room).judgement is not None


def test_bags_that_failed_are_said(room):
    folder = write_figures(room.root / "score", "score.json")
    room.beside.return_value = ScoredCohort(folder, room.root, 2)
    room.controller.score(room.root / "other")
    room.jobs.run()
    assert judging(room).message.startswith("2 bags could not be classified")


def test_progress_is_told(room):
    def tell_some(request, tell, cancel):
        tell(Started(8, "bags"))
        tell(Advanced(3, 1.0, 5.0))
        raise TrainingError("No bag of other can be classified.")

    room.beside.side_effect = tell_some
    seen = []
    room.session.changed.connect(
        lambda before, after: seen.append((after.judging.done, after.judging.total))
    )
    room.controller.score(room.root / "other")
    room.jobs.run()
    assert (3, 8) in seen
    assert judging(room).message == "No bag of other can be classified."
    assert judging(room).scoring == ""
    assert not room.session.state.notices


def test_a_defect_beside_the_window_is_a_notice(room):
    room.beside.side_effect = ChildDefectError("Traceback: boom")
    room.controller.score(room.root / "other")
    room.jobs.run()
    (notice,) = room.session.state.notices
    assert "boom" in notice.text


def test_a_cancelled_score_says_that_answers_are_kept(room):
    room.controller.score(room.root / "other")
    emit(room.view.cancel_requested)
    room.jobs.run()
    assert "Cancelled" in judging(room).message
    assert not judging(room).cautions
    assert judging(room).scoring == ""


@pytest.mark.parametrize("mapping", ["Tumor", "=x"])
def test_a_mapping_that_says_nothing_is_refused_before_anything_starts(room, mapping):
    emit(room.view.mapping_written, mapping)
    room.controller.score(room.root / "other")
    assert not room.jobs.waiting
    assert "are mapped as" in judging(room).message


def test_without_a_classifier_nothing_is_scored(room):
    room.session.apply(lambda state: replace(state, cards=(), classifier=""))
    room.controller.score(room.root / "other")
    assert not room.jobs.waiting


def test_a_bag_of_a_cell_is_opened_or_why_not_is_said(room):
    room.session.judge(actions.show, judgement(root=room.root))
    emit(room.view.bag_opened, 3)
    room.open_paths.assert_called_once_with([room.root / "folder" / "bag 3.npy"])
    room.session.judge(actions.show, judgement(root=None))
    emit(room.view.bag_opened, 3)
    assert "choose their folder first" in judging(room).message
    assert room.open_paths.call_count == 1


def test_figures_that_cannot_be_read_are_said(room):
    folder = write_figures(room.root / "run")
    (folder / "evaluation.json").write_text("{")
    come_to(room, folder)
    room.jobs.run()
    assert "cannot be read" in judging(room).message
