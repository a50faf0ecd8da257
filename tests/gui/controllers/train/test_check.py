"""What is found before a run starts, and what regions would teach."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from napari_mil.gui.controllers.train.check import CHECK_JOB, CheckController
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import Session, SessionState
from napari_mil.gui.model.snapshots.train import details_text, train_snapshot
from napari_mil.settings import Settings
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from tests.gui.training import TILES, FakeJobs, emit, features
from tests.training.sample_cohorts import write_annotated_slides


@pytest.fixture
def room(tmp_path):
    """A session with the controller on fakes."""
    session = Session(SessionState())
    made = SimpleNamespace(session=session, view=MagicMock(), jobs=FakeJobs())
    settings = Settings(user_folder=tmp_path / "user", cache_folder=tmp_path / "cache")
    made.controller = CheckController(session, made.view, made.jobs, settings)
    made.shown = lambda: train_snapshot(session.state).setup
    return made


@pytest.fixture
def annotated(tmp_path):
    """Four slides of two classes; the left half of one is annotated, under another name."""
    root = write_annotated_slides(tmp_path / "slides", per_class=2, n_annotated=1)
    return scan_annotated_folder(root)


def take(room, cohort, **advanced):
    room.session.train(actions.set_cohort, cohort, "", "")
    form = room.session.state.training.form
    room.session.train(actions.set_form, replace(form, advanced=advanced))


def test_regions_are_looked_at_by_themselves_and_what_they_teach_is_shown(room, annotated):
    take(room, annotated, **TILES)
    assert room.shown().check.startswith("Looking ahead")
    assert room.shown().check_button == "Cancel the check"
    room.jobs.run()
    emit(room.view.check_requested)
    room.jobs.run()
    taught, *rest = room.shown().check.splitlines()
    assert taught == "Regions teach malignant: 0 positive, 0 negative, 16 unknown tiles."
    assert any("named Tumor" in line for line in rest)
    assert room.shown().asks_regions
    form = room.session.state.training.form
    room.session.train(actions.set_form, replace(form, region_classes="Tumor=malignant"))
    room.jobs.run()
    first, *rest = room.shown().check.splitlines()
    assert first == "Regions teach malignant: 8 positive, 8 negative, 0 unknown tiles."
    assert not any("Tumor" in line for line in rest)
    assert room.session.state.training.fields["region_classes"] == {"Tumor": "malignant"}
    assert "8 positive" in details_text(room.session.state.training)


def test_a_mapping_that_cannot_be_understood_is_said_when_the_run_is_checked(room, annotated):
    take(room, annotated, **TILES)
    room.jobs.run()
    form = room.session.state.training.form
    room.session.train(actions.set_form, replace(form, region_classes="Tumor=bad"))
    assert not room.jobs.is_running(CHECK_JOB)
    emit(room.view.check_requested)
    assert "no class" in room.session.state.training.message


def test_a_check_says_how_long_the_run_takes_and_settings_that_change_make_it_old(room, tmp_path):
    room.session.train(actions.set_cohort, scan_annotated_folder(features(tmp_path)), "", "")
    assert room.shown().check == ""
    assert not room.shown().asks_regions
    emit(room.view.check_requested)
    room.jobs.run()
    assert room.shown().check.startswith("Training takes about")
    form = room.session.state.training.form
    room.session.train(actions.set_form, replace(form, epochs=3))
    assert room.shown().check.splitlines()[-1] == "The settings changed since: check again."


def test_a_check_can_be_stopped(room, annotated):
    take(room, annotated, **TILES)
    emit(room.view.check_requested)
    room.jobs.run()
    assert room.shown().check == ""
    assert room.shown().check_button == "Check"
