"""What the Compare panel says of two answers."""

from dataclasses import replace

import numpy as np

from napari_mil.gui.model import comparing
from napari_mil.gui.model.compared import answer_question, question_of
from napari_mil.gui.model.comparing import CompareView
from napari_mil.gui.model.snapshots.compare import NO_REGIONS, NOTHING_YET, compare_snapshot
from tests.gui.model import builders as build
from tests.gui.model.test_compared import COARSE, FINE, annotated, region, two


def measured(state):
    figures = answer_question(question_of(state))
    return replace(state, comparing=comparing.set_figures(state.comparing, figures))


def rows_of(state):
    rows = compare_snapshot(state).rows
    return {row.name: (row.first, row.second, row.difference) for row in rows}


def with_prediction(state, name, **fields):
    answers = tuple(
        replace(said, prediction=replace(said.prediction, **fields))
        if said.classifier == name
        else said
        for said in state.answers
    )
    return replace(state, answers=answers)


def test_without_an_answer_it_says_what_to_do():
    assert compare_snapshot(build.state_of(build.slide_subject())).reason == NOTHING_YET


def test_with_one_answer_it_says_what_to_do():
    subject = build.slide_subject()
    state = build.answered(build.state_of(subject), build.answer(subject, build.card()))
    reason = compare_snapshot(state).reason
    assert "one answer, of malignancy" in reason
    assert "classify again" in reason


def test_probabilities_stand_beside_each_other_with_their_difference():
    state = with_prediction(two(), "malignancy", probabilities=np.array([0.25, 0.75]))
    state = with_prediction(state, "grade", probabilities=np.array([0.5, 0.5]))
    rows = rows_of(state)
    assert rows["p(tumour)"] == ("0.75", "0.50", "+0.25")
    assert rows["p(normal)"] == ("0.25", "0.50", "−0.25")


def test_classes_of_one_answer_alone_have_no_difference():
    state = with_prediction(
        two(),
        "grade",
        classes=("low", "tumour"),
        probabilities=np.array([0.5, 0.5]),
        labels=("low",),
    )
    rows = rows_of(state)
    assert rows["p(low)"] == ("–", "0.50", "")
    assert rows["answer"][1:] == ("low", "differ")


def test_labels_that_are_the_same_are_said_to_be():
    state = with_prediction(two(), "malignancy", labels=("tumour",))
    state = with_prediction(state, "grade", labels=("tumour",))
    assert rows_of(state)["answer"] == ("tumour", "tumour", "same")


def test_figures_are_awaited_and_then_said():
    state = two()
    assert compare_snapshot(state).is_measuring
    snapshot = compare_snapshot(measured(state))
    assert not snapshot.is_measuring
    assert snapshot.sentences[0].startswith("Rank correlation ")
    assert snapshot.sentences[0].endswith("(6 tiles).")
    assert snapshot.sentences[1] == NO_REGIONS


def test_other_grids_are_said_to_be():
    state = measured(two(layouts=(COARSE, FINE)))
    words = "24 tiles; grids differ: at the centres of the finer one's"
    assert words in compare_snapshot(state).sentences[0]


def test_figures_of_another_map_are_not_shown():
    state = measured(two())
    other = replace(state, comparing=comparing.choose_column(state.comparing, "attention"))
    assert compare_snapshot(other).is_measuring
    assert compare_snapshot(other).sentences == ()


def test_overlap_with_regions_is_said_with_how_it_was_obtained():
    state = annotated(two({"score_tumour": [0.9, 0.1, 0.1, 0.1, 0.1, 0.8]}), region("tumour"))
    snapshot = compare_snapshot(measured(state))
    rows = {row.name: row for row in snapshot.rows}
    assert rows["AUC"].first == "1.00"
    assert rows["Dice"].first == "0.67"
    assert rows["FROC"].first == "1.00"
    assert rows["found, 0.25 false"].first == "1.00"
    assert "threshold" in rows["Dice"].explained
    assert "1 region; 1 of 6 tiles have their centre inside." in snapshot.sentences
    assert "Dice: values from 0.5, the classifier's threshold." in snapshot.sentences
    assert [entry.text for entry in snapshot.references.entries] == ["all regions", "tumour"]


def test_an_answer_without_a_map_has_a_table_alone():
    state = two()
    answers = tuple(
        replace(said, columns={}) if said.classifier == "grade" else said for said in state.answers
    )
    state = replace(
        state, answers=answers, comparing=replace(state.comparing, view=CompareView.CURTAIN)
    )
    snapshot = compare_snapshot(state)
    assert snapshot.views.current is CompareView.SHOWN
    assert all(entry.reason for entry in snapshot.views.entries[1:])
    assert "answer" in rows_of(state)
    assert not snapshot.is_measuring
    assert snapshot.sentences[0].startswith("grade: no map.")


def test_maps_of_two_classes_are_said_to_be():
    state = two({"score_tumour": [1, 2, 3, 4, 5, 6]}, {"score_normal": [6, 5, 4, 3, 2, 1]})
    several = build.card("grade", classes=("a", "b", "normal"))
    answers = tuple(
        replace(said, inputs=replace(said.inputs, classifier=several))
        if said.classifier == "grade"
        else said
        for said in state.answers
    )
    sentences = compare_snapshot(measured(replace(state, answers=answers))).sentences
    assert sentences[0].startswith("Rank correlation −1.00")
    assert sentences[1] == "The maps are of two classes or heads: tumour | normal."


def test_images_take_no_regions():
    assert compare_snapshot(two()).takes_regions
    subject = build.images_subject()
    answers = [build.answer(subject, build.card(name)) for name in ("a", "b")]
    state = measured(build.answered(build.state_of(subject), *answers))
    snapshot = compare_snapshot(state)
    assert not snapshot.takes_regions
    assert len(snapshot.sentences) == 1


def test_choices_that_mean_nothing_are_away():
    snapshot = compare_snapshot(two())
    assert (snapshot.shows_scale, snapshot.shows_curtain) == (False, False)
    assert compare_snapshot(two(view=CompareView.CURTAIN)).shows_curtain
    difference = compare_snapshot(two(view=CompareView.DIFFERENCE))
    assert difference.shows_scale
    assert difference.references.entries == ()
