"""Two answers about one subject: what the canvas shows of them, and what is asked."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from napari_mil.annotations import Annotations, Region
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions, comparing
from napari_mil.gui.model.answers import Answer
from napari_mil.gui.model.compared import (
    answer_question,
    canvas_view,
    chosen_reference,
    compared,
    compared_map,
    compared_words,
    curtain_at,
    other_answers,
    question_of,
    reference_names,
)
from napari_mil.gui.model.comparing import CompareView, Comparing, DrawnRegions
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.layer_specs import DIVERGING_NAME
from napari_mil.gui.model.panels import Panel
from napari_mil.gui.model.placement import Placement
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import Session
from napari_mil.gui.model.subjects import outline_annotations
from napari_mil.inference.agreement import Matching
from tests.gui.model import builders as build

COARSE = build.grid_layout(2, 3, size=500.0)
FINE = build.grid_layout(4, 6, size=250.0)


def with_values(said: Answer, **columns: object) -> Answer:
    """Return an answer whose maps are planted."""
    arrays = {key: np.array(values, np.float32) for key, values in columns.items()}
    return replace(said, columns=arrays)


def two(first=None, second=None, *, layouts=(COARSE, COARSE), **fields):
    """Return a state with two answers; the second one of the arguments is compared."""
    subject = build.slide_subject()
    one = build.answer(subject, build.card(), layout=layouts[0])
    other = build.answer(subject, build.card("grade"), layout=layouts[1], seed=5)
    if first is not None:
        one = with_values(one, **first)
    if second is not None:
        other = with_values(other, **second)
    state = build.answered(build.state_of(subject), other, one)
    panels = frozenset({Panel.COMPARE})
    return replace(state, panels=panels, comparing=Comparing(**fields))


def overlay(state):
    return next(layer for layer in scene(state).layers if layer.key == ("overlay",))


def annotated(state, *regions):
    layer = outline_annotations("a.geojson", Annotations(regions))
    return actions.add_annotations(state, 1, layer)


def region(name, x=0, y=0, side=500):
    return Region(shapely.box(x, y, x + side, y + side), name)


def test_one_answer_is_compared_with_nothing():
    subject = build.slide_subject()
    state = build.answered(build.state_of(subject), build.answer(subject, build.card()))
    assert compared(state) is None
    assert question_of(state) is None


def test_the_newest_other_answer_is_compared_until_another_one_is_chosen():
    state = two()
    third = build.answer(state.current_subject, build.card("third"), layout=COARSE)
    state = replace(state, answers=(*state.answers, third))
    assert [said.classifier for said in other_answers(state)] == ["third", "grade"]
    assert compared(state).second.name == "third"
    state = replace(state, comparing=comparing.choose_other(state.comparing, "grade"))
    assert compared(state).second.name == "grade"
    assert compared(state).first.name == "malignancy"


def test_an_answer_is_never_compared_with_itself():
    state = replace(two(), comparing=Comparing(other="malignancy"))
    assert compared(state).second.name == "grade"


def test_the_other_map_is_like_the_shown_one_unless_it_is_chosen():
    state = actions.choose_kind(two(), Kind.ATTENTION)
    assert compared(state).second.column.key == "attention"
    state = replace(state, comparing=comparing.choose_column(state.comparing, "score_tumour"))
    assert compared(state).first.column.key == "attention"
    assert compared(state).second.column.key == "score_tumour"


def test_the_canvas_shows_two_answers_only_while_the_panel_is_seen():
    state = two(view=CompareView.CURTAIN)
    assert canvas_view(state) is CompareView.CURTAIN
    hidden = replace(state, panels=frozenset())
    assert canvas_view(hidden) is CompareView.SHOWN
    assert scene(hidden).legend.text == "score: tumour · malignancy"


def test_a_run_under_way_is_shown_by_itself():
    state = two(view=CompareView.DIFFERENCE)
    run = build.run(
        state.current_subject, build.card(), layout=COARSE, columns={"attention": build.values(6)}
    )
    assert canvas_view(actions.start_run(state, run)) is CompareView.SHOWN


def test_a_difference_is_first_less_second_with_as_much_colour_on_either_side():
    state = two(
        {"score_tumour": [0.9, 0.2, 0.5, 0.5, np.nan, 0.1]},
        {"score_tumour": [0.4, 0.4, 0.5, np.nan, 0.3, 0.1]},
        view=CompareView.DIFFERENCE,
    )
    layer = overlay(state)
    np.testing.assert_allclose(layer.data, [[0.5, -0.2, 0], [np.nan, np.nan, 0]], atol=1e-6)
    assert layer.limits == pytest.approx((-0.5, 0.5))
    assert layer.colormap == DIVERGING_NAME
    assert scene(state).legend.text == "malignancy − grade · score: tumour (values)"


def test_values_of_two_kinds_are_compared_by_rank():
    state = two(
        {"score_tumour": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
        {"attention": [6, 5, 4, 3, 2, 1]},
        view=CompareView.DIFFERENCE,
        scale=ScaleMode.RAW,
    )
    np.testing.assert_allclose(overlay(state).data, [[-1, -0.6, -0.2], [0.2, 0.6, 1]], atol=1e-6)
    assert scene(state).legend.text == "malignancy − grade (ranks)"


def test_a_difference_of_two_grids_lies_on_the_finer_one():
    state = two(
        {"score_tumour": np.full(6, 0.5)},
        {"score_tumour": np.linspace(0, 1, 24)},
        layouts=(COARSE, FINE),
        view=CompareView.DIFFERENCE,
    )
    layer = overlay(state)
    np.testing.assert_allclose(layer.data.ravel(), 0.5 - np.linspace(0, 1, 24), atol=1e-6)
    assert layer.affine == Placement(0.5).lattice(FINE)


def test_a_curtain_shows_the_first_map_on_the_left_and_the_second_on_the_right():
    state = two(
        {"score_tumour": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
        {"score_tumour": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]},
        view=CompareView.CURTAIN,
        curtain=0.3,
    )
    np.testing.assert_allclose(overlay(state).data, [[0.1, 0.8, 0.7], [0.4, 0.5, 0.4]], rtol=1e-6)
    assert scene(state).legend.text == "malignancy | grade · score: tumour"
    (line,) = [layer for layer in scene(state).layers if layer.role is Role.CURTAIN]
    start, along = line.data[0]
    # Between the first and the second column: x = 500 px of 0.5 µm, less half a pixel.
    assert start[1] == pytest.approx(249.75)
    assert along[1] == 0
    assert along[0] > 500


@pytest.mark.parametrize(("place", "shown"), [(0.0, 1), (1.0, 0)])
def test_at_its_ends_a_curtain_shows_one_map_alone(place, shown):
    state = two(view=CompareView.CURTAIN, curtain=place)
    side = (compared(state).first, compared(state).second)[shown]
    np.testing.assert_array_equal(overlay(state).data.ravel(), side.values)


def test_a_curtain_of_two_grids_covers_both():
    away = build.grid_layout(4, 6, size=250.0, origin=(1000.0, 500.0))
    state = two(
        {"score_tumour": np.arange(6) / 10},
        {"score_tumour": np.full(24, 0.9)},
        layouts=(COARSE, away),
        view=CompareView.CURTAIN,
        curtain=0.4,
    )
    placed = compared_map(state)
    # From 0 to 2500 along x, from 0 to 1500 along y, in cells of 250.
    assert placed.image.shape == (6, 10)
    assert placed.layout.origin == (0, 0)
    left = np.repeat(np.repeat(np.arange(6).reshape(2, 3) / 10, 2, 0), 2, 1)
    np.testing.assert_allclose(placed.image[:4, :4], left[:, :4], rtol=1e-6)
    assert np.isnan(placed.image[4:, :4]).all()
    assert np.isnan(placed.image[:2, 4:]).all()
    np.testing.assert_allclose(placed.image[2:, 4:], 0.9, rtol=1e-6)


def test_maps_of_two_kinds_each_have_the_whole_of_the_colours():
    state = two(
        {"attention": [0, 1, 2, 3, 4, 10]},
        {"score_tumour": [0.2, 0.2, 0.2, 0.2, 0.2, 0.2]},
        view=CompareView.CURTAIN,
        curtain=1.0,
    )
    state = actions.choose_scale(state, ScaleMode.RAW)
    assert overlay(state).limits == (0.0, 1.0)
    np.testing.assert_allclose(overlay(state).data.ravel(), [0, 0.1, 0.2, 0.3, 0.4, 1], rtol=1e-6)


def test_the_curtain_can_be_brought_to_a_place():
    both = compared(two())
    assert curtain_at(both, 0.0) == 0
    assert curtain_at(both, 750.0) == 0.5


def test_a_curtain_that_moves_keeps_within_the_map():
    assert comparing.move_curtain(Comparing(), 1.7).curtain == 1
    assert comparing.move_curtain(Comparing(), -1).curtain == 0
    same = Comparing()
    assert comparing.move_curtain(same, 0.5) is same


def test_what_was_taken_out_of_the_answer_has_no_colour():
    state = two(view=CompareView.CURTAIN, curtain=1.0)
    state = actions.change_what_if(state, lambda what_if: what_if.drop((1,), 6))
    assert np.isnan(overlay(state).data.ravel()[1])
    assert np.isnan(overlay(state).data).sum() == 1


def test_the_mouse_is_told_both_values():
    state = two(
        {"score_tumour": [0.5] * 6},
        {"attention": [0.25] * 6},
        view=CompareView.DIFFERENCE,
    )
    words = "malignancy: score: tumour 0.5 · grade: attention 0.25"
    assert hover_words(state, (100.0, 100.0)) == words
    assert compared_words(state, 9999.0, 0.0) == ""


def test_a_hidden_overlay_hides_the_curtain_and_its_line():
    state = actions.set_look(two(view=CompareView.CURTAIN), Role.OVERLAY, Look(visible=False))
    shown = [layer for layer in scene(state).layers if layer.visible]
    assert {layer.role for layer in shown} == {Role.SUBJECT}
    assert scene(state).legend is None


def test_figures_hold_for_one_question():
    state = two(layouts=(COARSE, FINE))
    figures = answer_question(question_of(state))
    assert figures.matching is Matching.CENTRES
    assert figures.agreement.n == 24
    assert figures.overlaps is None
    assert question_of(state).is_same_as(figures.question)
    other = replace(state, comparing=comparing.choose_column(state.comparing, "attention"))
    assert not question_of(other).is_same_as(figures.question)
    assert not question_of(annotated(state, region("tumour"))).is_same_as(figures.question)


def test_each_map_is_compared_with_the_regions_that_are_chosen():
    state = annotated(
        two({"score_tumour": [0.9, 0.1, 0.1, 0.1, 0.1, 0.8]}),
        region("tumour"),
        region("necrosis", 1000, 500),
        region("Ignore*", 500),
    )
    assert reference_names(state) == ("tumour", "necrosis")
    one, _ = answer_question(question_of(state)).overlaps
    assert (one.n, one.n_positive, one.n_regions) == (5, 2, 2)
    assert one.auc == 1
    assert one.threshold == 0.5
    assert one.dice == 1
    state = replace(state, comparing=comparing.choose_reference(state.comparing, "necrosis"))
    one, _ = answer_question(question_of(state)).overlaps
    assert (one.n_positive, one.n_regions) == (1, 1)
    assert one.auc == pytest.approx(0.75)


def test_the_threshold_of_the_classifier_holds_for_its_scores_alone():
    state = annotated(two(), region("tumour"))
    assert question_of(state).thresholds == (0.5, 0.5)
    attention = actions.choose_kind(state, Kind.ATTENTION)
    assert question_of(attention).thresholds == (None, None)


def test_shapes_that_were_drawn_are_regions_of_their_subject_alone():
    drawn = DrawnRegions(1, "Shapes", (region("Shapes"),))
    state = replace(two(), comparing=comparing.take_drawn(Comparing(), drawn))
    assert chosen_reference(state) == "Shapes"
    assert len(question_of(state).regions) == 1
    elsewhere = replace(drawn, subject=7)
    state = replace(state, comparing=comparing.take_drawn(Comparing(), elsewhere))
    assert question_of(state).regions == ()
    assert chosen_reference(state) == ""


def test_a_closed_subject_takes_its_shapes_and_figures_along():
    state = two()
    drawn = DrawnRegions(1, "Shapes", (region("Shapes"),))
    chosen = comparing.take_drawn(state.comparing, drawn)
    figures = answer_question(question_of(state))
    state = replace(state, comparing=comparing.set_figures(chosen, figures))
    closed = actions.close_subject(state, 1)
    assert closed.comparing.drawn is None
    assert closed.comparing.figures is None


def test_the_session_tells_a_change_of_the_comparison():
    session = Session(two())
    heard = []
    session.changed.connect(lambda before, after: heard.append(after.comparing.curtain))
    session.compare(comparing.move_curtain, 0.25)
    session.compare(comparing.move_curtain, 0.25)
    assert heard == [0.25]
