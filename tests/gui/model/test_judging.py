from pathlib import Path

from napari_mil.gui.model import judging as actions
from napari_mil.gui.model.judging import Judging, Plot
from tests.gui.judgements import judgement


def test_other_figures_begin_without_a_chosen_cell():
    shown = actions.choose_cell(actions.show(Judging(), judgement()), 0, 1)
    assert shown.cell == (0, 1)
    assert actions.show(shown, judgement()).cell is None
    assert actions.choose_plot(shown, Plot.CALIBRATION).cell == (0, 1)


def test_without_figures_there_is_no_cell_to_choose():
    empty = Judging()
    assert actions.choose_cell(empty, 0, 0) is empty


def test_a_score_counts_and_ends_with_a_message():
    running = actions.count(actions.start_scoring(Judging(message="old"), "cohort"), "bags", 3, 9)
    assert (running.scoring, running.message, running.done, running.total) == ("cohort", "", 3, 9)
    ended = actions.end_scoring(running, "Cancelled.", cautions=False)
    assert (ended.scoring, ended.message, ended.cautions) == ("", "Cancelled.", False)


def test_a_bag_lies_below_the_cohort_or_where_its_whole_path_says():
    assert judgement().path_of(3) == Path("/cohort/folder/bag 3.npy")
    assert judgement(root=None).path_of(3) is None
