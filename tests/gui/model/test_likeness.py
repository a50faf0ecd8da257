"""How alike instances are to the selected one: a map like the others, of the last one read."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.exports.maps import LIKENESS
from napari_mil.gui.model import actions
from napari_mil.gui.model.display import Kind
from napari_mil.gui.model.exporting import export_source
from napari_mil.gui.model.gallery import likeness_to
from napari_mil.gui.model.layer_specs import DIVERGING_NAME
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import Closeup
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from tests.gui.model import builders as build

N = 6
FEATURES = np.random.default_rng(0).normal(size=(N, 8)).astype(np.float32)


@pytest.fixture
def state():
    made = build.state_of(build.features_subject(n=N))
    return build.answered(made, build.answer(made.current_subject, build.card()))


def selected(state, instance, classifier="malignancy"):
    """Select an instance, and give what was read of it."""
    state = actions.select(state, [instance])
    likeness = likeness_to(FEATURES, instance)
    closeup = Closeup(1, instance, None, likeness=likeness, classifier=classifier)
    return actions.set_closeup(state, closeup)


def choice(state):
    (found,) = [each for each in inspect_snapshot(state).kinds.entries if each.key is Kind.LIKENESS]
    return found


def test_it_is_one_for_itself_and_within_the_limits_of_a_cosine():
    likeness = likeness_to(FEATURES, 2)
    assert likeness[2] == 1
    assert ((likeness >= -1) & (likeness <= 1)).all()
    assert likeness_to(np.ones((3, 4), np.float32), 0).tolist() == [1, 0, 0]


def test_it_is_offered_once_an_instance_was_selected(state):
    assert choice(state).reason == "Select an instance first."
    assert choice(selected(state, 2)).reason == ""


def test_it_is_not_offered_without_features(state):
    said = state.shown_answer
    gone = replace(said, prediction=replace(said.prediction, features=None))
    kinds = inspect_snapshot(replace(state, answers=(gone,))).kinds
    assert Kind.LIKENESS not in [entry.key for entry in kinds.entries]


def test_the_map_is_that_of_the_instance_selected_last(state):
    state = actions.choose_kind(selected(state, 2), Kind.LIKENESS)
    assert np.array_equal(state.values, likeness_to(FEATURES, 2))
    state = selected(state, 4)
    assert np.array_equal(state.values, likeness_to(FEATURES, 4))
    assert [column.key for column in state.columns if column.kind is Kind.LIKENESS] == [
        f"{LIKENESS}_4"
    ]
    assert scene(state).legend.text.startswith("likeness to 4")


def test_its_colours_diverge_over_all_a_cosine_can_be(state):
    state = actions.choose_kind(selected(state, 2), Kind.LIKENESS)
    (layer,) = [each for each in scene(state).layers if each.key == ("overlay",)]
    assert layer.colormap == DIVERGING_NAME
    assert layer.limits == (-1, 1)


def test_features_of_another_answer_tell_nothing_of_this_one(state):
    other = selected(state, 2, classifier="grade")
    assert Kind.LIKENESS not in [column.kind for column in other.columns]


def test_an_export_of_the_map_holds_its_values(state):
    state = selected(state, 2)
    assert f"{LIKENESS}_2" not in export_source(state).prediction.columns()
    shown = export_source(actions.choose_kind(state, Kind.LIKENESS))
    assert shown.choices.column == f"{LIKENESS}_2"
    assert np.array_equal(shown.prediction.columns()[f"{LIKENESS}_2"], likeness_to(FEATURES, 2))


def test_the_card_of_an_instance_does_not_say_that_it_is_like_itself(state):
    rows = dict(inspect_snapshot(selected(state, 2)).instance.rows)
    assert not any(LIKENESS in name for name in rows)
