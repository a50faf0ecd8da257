from dataclasses import replace
from pathlib import Path

import pytest

from napari_mil.gui.model import judging as actions
from napari_mil.gui.model.judging import Judging, Plot
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.judging import judging_snapshot
from napari_mil.gui.model.training import Phase, Result, Training
from napari_mil.inference.library import find_card
from napari_mil.training.evaluation.answers import Link
from tests.gui.judgements import judgement

CARD = find_card("breast-malignancy")
CHOSEN = SessionState(cards=(CARD,), classifier=CARD.name)


def shown(judging, state=CHOSEN):
    return judging_snapshot(replace(state, judging=judging))


def test_without_a_classifier_nothing_can_be_scored_and_it_says_why():
    snapshot = judging_snapshot(SessionState())
    assert not snapshot.can_score
    assert "Choose a classifier" in snapshot.score_tip
    assert snapshot.figures.headline == ""


def test_the_classifier_of_the_run_comes_before_the_chosen_one():
    assert shown(Judging()).line == "With breast-malignancy"
    learned = replace(CARD, name="learned")
    state = replace(CHOSEN, training=Training(result=Result(learned, Path("run"))))
    assert shown(Judging(), state).line == "With learned"


def test_nothing_is_scored_while_a_run_or_a_score_is_under_way():
    busy = replace(CHOSEN, training=Training(phase=Phase.RUNNING))
    assert not shown(Judging(), busy).can_score
    running = actions.count(actions.start_scoring(Judging(), "cohort"), "bags", 2, 8, 30.0)
    snapshot = shown(running)
    assert not snapshot.can_score
    assert snapshot.progress == "Scoring cohort: bag 3 of 8 · 30 s left"


def test_figures_have_their_intervals_and_those_that_do_not_exist_a_dash():
    figures = shown(actions.show(Judging(), judgement())).figures
    assert figures.headline == "AUC 0.80, honest protocol"
    assert figures.lines == "balanced accuracy 0.75 (0.62–0.88)\nauc –"
    assert "predictions.csv" in figures.place
    assert figures.plots.current is Plot.ROC


@pytest.mark.parametrize("link", Link)
def test_a_cell_lists_its_bags_with_what_was_answered(link):
    some = judgement(link)
    counts = some.curves.confusion.counts
    row, column = (int(k) for k in divmod(counts.argmax(), counts.shape[1]))
    figures = shown(actions.choose_cell(actions.show(Judging(), some), row, column)).figures
    expected = some.curves.confusion.bags_in(row, column)
    assert sorted(bag.number for bag in figures.bags) == [bag for bag, _ in expected]
    assert f"{len(expected)} bags" in figures.bags_line
    assert some.curves.confusion.rows[row] in figures.bags_line
    for bag in figures.bags:
        assert bag.text.startswith(f"bag {bag.number}.npy · ")
        assert "of 2 repeats" in bag.text
    assert figures.matrix.cell == (row, column)
    assert len(figures.matrix.texts) == len(some.curves.confusion.rows)


def test_of_one_repeat_none_is_spoken():
    some = judgement(repeats=1)
    figures = shown(actions.choose_cell(actions.show(Judging(), some), 0, 0)).figures
    assert figures.bags
    assert not any("repeat" in bag.text for bag in figures.bags)


def test_the_same_figures_are_the_same_snapshot():
    judging = actions.show(Judging(), judgement())
    moved = replace(CHOSEN, judging=judging, message="something else")
    assert judging_snapshot(moved).figures is shown(judging).figures
