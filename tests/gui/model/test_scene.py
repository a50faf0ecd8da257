"""What the canvas should show: one subject, one overlay, one truth."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.hovering import hover_words
from napari_mil.gui.model.layer_specs import LayerType
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.subjects import Pixels
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade")
OVERLAYS = (Role.OVERLAY, Role.GROUPS, Role.MARKS)


def of_role(state, *roles):
    return [layer for layer in scene(state).layers if layer.role in roles]


def the_overlay(state):
    (layer,) = of_role(state, *OVERLAYS)
    return layer


class TestOneTruth:
    def test_with_nothing_open_the_canvas_is_empty(self):
        drawn = scene(SessionState())
        assert (drawn.layers, drawn.title, drawn.legend, drawn.subject) == ((), "", None, None)

    def test_one_subject_is_visible_at_a_time(self):
        state = build.state_of(build.slide_subject(1), build.images_subject(2))
        assert [layer.visible for layer in of_role(state, Role.SUBJECT)] == [False, True]
        assert (scene(state).title, scene(state).subject) == ("polyps", 2)

    def test_overlay_tissue_and_regions_of_another_subject_are_not_drawn(self, full):
        state = actions.add_subject(full, build.slide_subject(2, "b.svs"))
        assert {layer.role for layer in scene(state).layers} == {Role.SUBJECT}
        assert scene(state).legend is None

    def test_a_slide_that_comes_back_is_drawn_as_it_was(self, full):
        away = actions.add_subject(full, build.slide_subject(2, "b.svs"))
        back = actions.choose_subject(away, 1)
        assert the_overlay(back).data is the_overlay(full).data
        assert scene(back).legend == scene(full).legend

    def test_the_overlay_of_another_classifier_takes_the_place_of_the_first(self, full):
        answer = build.answer(full.current_subject, GRADE, seed=3)
        state = build.answered(full, answer)
        assert the_overlay(state).name == "score: tumour · grade · a.svs"
        assert scene(state).legend.text == "score: tumour · grade"
        assert the_overlay(state).key == the_overlay(full).key

    @pytest.mark.parametrize(
        ("kind", "role", "legend"),
        [
            (Kind.SCORE, Role.OVERLAY, "score: tumour · malignancy"),
            (Kind.ATTENTION, Role.OVERLAY, "attention (rank) · malignancy"),
            (Kind.CLUSTERS, Role.GROUPS, "6 clusters (Ward) · malignancy"),
            (Kind.MASKS, Role.GROUPS, "masked by HAM (1 %) · malignancy"),
            (Kind.CRITICAL, Role.MARKS, "critical: tile 0 (tumour) · malignancy"),
        ],
    )
    def test_every_kind_is_one_overlay_under_its_own_legend(self, full, kind, role, legend):
        state = actions.choose_kind(full, kind)
        assert the_overlay(state).role is role
        assert scene(state).legend.text == legend
        assert scene(state).legend.has_bar == (role is Role.OVERLAY)

    def test_a_hidden_overlay_has_no_legend(self, full):
        assert scene(actions.hide_overlay(full)).legend is None

    def test_clusters_that_are_still_to_be_grown_have_no_legend(self, full):
        state = actions.choose_kind(full, Kind.CLUSTERS)
        state = actions.choose_clusters(state, linkage=Linkage.SINGLE)
        assert of_role(state, *OVERLAYS) == []
        assert scene(state).legend is None

    def test_clusters_name_the_method_whose_merges_they_are(self, full):
        said = full.shown_answer
        own = replace(said, prediction=replace(said.prediction, tree=build.tree(6)))
        state = actions.add_tree(
            replace(full, answers=(own,)), 1, "malignancy", Linkage.OWN, build.tree(6)
        )
        state = actions.choose_kind(state, Kind.CLUSTERS)
        state = actions.choose_clusters(state, 2, Linkage.OWN)
        words = "2 clusters (merges of gated-abmil) · malignancy"
        assert scene(state).legend.text == words

    def test_names_of_layers_start_with_what_differs(self, full):
        heads = [layer.name.split(" · ")[0] for layer in scene(full).layers]
        assert len(set(heads)) == len(heads)

    def test_the_same_state_gives_the_same_arrays(self, full):
        for one, other in zip(scene(full).layers, scene(full).layers, strict=True):
            assert one.data is other.data

    def test_layers_lie_from_the_slide_at_the_bottom_to_the_selection_on_top(self, full):
        assert [layer.role for layer in scene(full).layers] == [
            Role.SUBJECT,
            Role.ANNOTATIONS,
            Role.TISSUE,
            Role.OVERLAY,
            Role.SELECTION,
        ]


class TestRun:
    def running(self, state, columns):
        layout = build.grid_layout(2, 2)
        run = build.run(state.current_subject, GRADE, layout=layout, total=4, done=2)
        return actions.start_run(state, replace(run, columns=columns))

    def test_the_overlay_of_a_run_says_how_far_it_is(self):
        columns = {"attention": np.array([0.5, 0.2, np.nan, np.nan], np.float32)}
        state = self.running(build.state_of(build.slide_subject()), columns)
        share = "2 of 4 tiles, rest as the nearest"
        assert scene(state).legend.text == f"attention (rank) · grade · {share}"
        assert not np.isnan(the_overlay(state).data).any()

    def test_a_run_without_values_leaves_the_answer_on_the_slide(self, full):
        state = self.running(full, {})
        assert the_overlay(state).data is the_overlay(full).data
        assert state.layout is full.layout

    def test_a_run_about_another_slide_changes_nothing_on_this_one(self, full):
        columns = {"attention": build.values(4)}
        state = actions.add_subject(full, build.slide_subject(2))
        state = actions.choose_subject(self.running(state, columns), 1)
        assert scene(state).legend == scene(full).legend

    @pytest.mark.parametrize("kind", [Kind.CLUSTERS, Kind.CRITICAL, Kind.MASKS])
    def test_words_under_the_mouse_are_of_the_run_that_is_seen(self, full, kind):
        columns = {"attention": np.array([0.5, 0.25, np.nan, np.nan], np.float32)}
        state = self.running(actions.choose_kind(full, kind), columns)
        world = tuple(state.current_subject.placement.centres(state.layout, np.array([1]))[0])
        assert the_overlay(state).name.startswith("attention · grade")
        assert hover_words(state, world) == "attention 0.25 · rank 2 of 2 · tile 1"


class TestTraining:
    def test_the_watched_slide_shows_its_epoch_alone(self, full):
        state = build.watching(full)
        assert the_overlay(state).name == "in training · run-1 · a.svs"
        assert scene(state).legend.text == "score · epoch 1 · run-1"

    def test_masks_of_an_epoch_take_the_place_of_its_values(self, full):
        state = build.watching(full, build.mined(2, ("high",)))
        state = actions.choose_name(state, "masked")
        assert the_overlay(state).role is Role.GROUPS
        assert scene(state).legend.text == "masked · epoch 1 · run-1"

    def test_another_slide_shows_its_own_answer_while_one_is_watched(self, full):
        state = build.state_of(build.slide_subject(2, "b.svs"))
        state = build.watching(state)
        state = actions.add_subject(state, full.current_subject)
        state = build.answered(state, full.shown_answer)
        assert scene(state).legend.text == "score: tumour · malignancy"

    def test_the_watched_slide_is_stepped_through_by_its_own_values(self, full):
        state = actions.step_selection(build.watching(full), 1)
        assert state.selection.instance == int(build.values(2).argmax())


class TestPlace:
    def test_another_scale_moves_all_layers_of_a_slide_together(self, full):
        before = scene(full)
        slide = full.current_subject.slide.at(1.0)
        after = scene(actions.set_slide(full, 1, slide))
        for one, other in zip(before.layers, after.layers, strict=True):
            if other.type in (LayerType.SQUARES, LayerType.OUTLINES):
                assert np.allclose(other.data, one.data * 2)
                assert other.size == one.size * 2
            else:
                assert np.allclose(other.affine.scale, np.multiply(one.affine.scale, 2))
                assert np.allclose(other.affine.translate, np.multiply(one.affine.translate, 2))

    def test_a_slide_whose_scale_is_entered_gets_units_on_every_layer(self, full):
        bare = actions.set_slide(full, 1, build.slide_subject(mpp=None).slide)
        for state, unit, has_bar in ((full, "um", True), (bare, "pixel", False)):
            drawn = scene(state)
            assert {layer.units for layer in drawn.layers} == {drawn.units} == {(unit, unit)}
            assert drawn.has_scale_bar == has_bar

    def test_layers_of_hidden_subjects_take_the_units_of_the_shown_one(self):
        state = build.state_of(build.slide_subject(1), build.images_subject(2))
        assert {layer.units for layer in scene(state).layers} == {("pixel", "pixel")}

    def test_features_without_a_slide_have_an_element_a_cell(self):
        state = build.state_of(build.features_subject())
        (layer,) = scene(state).layers
        assert layer.affine.scale == (100.0, 100.0)
        assert layer.data.shape == state.layout.shape

    def test_the_selection_outlines_the_tiles_that_are_selected(self, full):
        (selected,) = of_role(full, Role.SELECTION)
        centres = full.current_subject.placement.centres(full.layout, np.array([1, 2]))
        assert np.allclose(selected.data, centres)
        assert selected.size == 250.0


class TestLooks:
    def test_what_a_person_changed_on_a_layer_stays_with_its_role(self, full):
        state = actions.set_look(full, Role.OVERLAY, Look(opacity=0.3, colormap="plasma"))
        other = build.answered(state, build.answer(state.current_subject, GRADE))
        assert (the_overlay(other).opacity, the_overlay(other).colormap) == (0.3, "plasma")

    def test_groups_are_as_opaque_as_the_map_before_them(self, full):
        state = actions.set_look(full, Role.OVERLAY, Look(opacity=0.3))
        assert the_overlay(actions.choose_kind(state, Kind.CLUSTERS)).opacity == 0.3

    @pytest.mark.parametrize(
        ("subject", "white", "colormap"),
        [
            (build.slide_subject(), True, "viridis"),
            (build.features_subject(), True, "viridis"),
            (build.images_subject(), False, "magma"),
            (build.fluorescence_subject(), False, "magma"),
        ],
    )
    def test_canvas_and_colours_go_with_the_kind_of_picture(self, subject, white, colormap):
        state = build.answered(build.state_of(subject), build.answer(subject, MALIGNANCY))
        assert scene(state).background == ("white" if white else "black")
        assert the_overlay(state).colormap == colormap

    def test_the_scale_of_values_stands_in_the_legend(self, full):
        state = actions.choose_scale(full, ScaleMode.LOG)
        assert scene(state).legend.text == "score: tumour (log) · malignancy"
        assert the_overlay(state).limits[0] < the_overlay(state).limits[1] <= 0


def test_the_coarsest_level_lies_under_a_slide_of_several_and_covers_it():
    levels = [np.zeros((3000, 4000, 3), np.uint8), np.zeros((30, 40, 3), np.uint8)]
    subject = replace(build.slide_subject(), pixels=Pixels(levels, multiscale=True))
    below, slide = scene(build.state_of(subject)).layers
    assert (below.role, slide.role) == (Role.UNDERLAY, Role.SUBJECT)
    assert below.data is levels[-1]
    assert below.affine.scale == (50.0, 50.0)
    # From edge to edge: the first element begins where the first pixel does.
    assert below.affine.translate[0] - 25 == pytest.approx(-0.25)
    assert below.visible


def test_nothing_shines_through_a_translucent_slide():
    levels = [np.zeros((3000, 4000, 3), np.uint8), np.zeros((30, 40, 3), np.uint8)]
    subject = replace(build.slide_subject(), pixels=Pixels(levels, multiscale=True))
    state = actions.set_look(build.state_of(subject), Role.SUBJECT, Look(opacity=0.5))
    below, slide = scene(state).layers
    assert slide.visible
    assert not below.visible
