"""What the Inspect tab shows."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.events import Watched
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Inquiry, Linkage
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.session import Closeup, SessionState
from napari_mil.gui.model.snapshots.inspect import (
    KIND_TEXTS,
    NO_OTHERS,
    NOTHING_YET,
    SCALE_TEXTS,
    inspect_snapshot,
)
from napari_mil.gui.model.training import Training, Watch
from napari_mil.inference.card import IMAGES
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade", classes=("low", "middle", "high"), link="softmax")


@pytest.fixture
def state():
    state = build.state_of(build.slide_subject(), cards=(MALIGNANCY, GRADE))
    answer = build.answer(state.current_subject, MALIGNANCY, critical=True)
    return build.answered(state, answer)


def with_answer(state, card, **fields):
    return build.answered(state, build.answer(state.current_subject, card, **fields))


def watching(state, masks=None):
    watched = Watched(build.values(2), "score", np.array([0.3, 0.7], np.float32), masks or {})
    path = state.current_subject.path
    layout = build.grid_layout(1, 2)
    watch = Watch(path, "run-1", ("normal", "tumour"), layout, "training", ((1, watched),), 1)
    return actions.show_training(replace(state, training=Training(watch=watch)))


def keys(choices):
    return [entry.key for entry in choices.entries]


class TestKinds:
    def test_without_an_answer_it_says_what_to_do(self):
        for state in (SessionState(), build.state_of(build.slide_subject())):
            assert inspect_snapshot(state).reason == NOTHING_YET

    def test_it_names_the_slide_and_the_classifier_of_the_answer(self, state):
        snapshot = inspect_snapshot(actions.choose_classifier(state, "grade"))
        assert snapshot.subject == "a.svs"
        assert snapshot.facts == "malignancy · 6 tiles · critical tile 0 (tumour)"

    def test_what_the_answer_has_can_be_coloured_and_the_first_is_chosen(self, state):
        kinds = inspect_snapshot(state).kinds
        assert keys(kinds) == [
            Kind.ATTENTION,
            Kind.SCORE,
            Kind.ALONE,
            Kind.CONTRIBUTION,
            Kind.CLUSTERS,
            Kind.MASKS,
            Kind.CRITICAL,
        ]
        assert kinds.current is Kind.SCORE

    def test_what_the_answer_lacks_cannot_be_chosen(self, state):
        plain = with_answer(state, GRADE)
        assert Kind.CRITICAL not in keys(inspect_snapshot(plain).kinds)

    def test_a_kind_that_an_answer_lacks_is_not_shown_as_chosen(self, state):
        chosen = actions.choose_kind(state, Kind.CRITICAL)
        assert inspect_snapshot(chosen).kinds.current is Kind.CRITICAL
        other = with_answer(chosen, GRADE)
        assert inspect_snapshot(other).kinds.current is Kind.SCORE

    def test_one_instance_cannot_be_compared(self, state):
        alone = with_answer(state, GRADE, layout=build.grid_layout(1, 1))
        reasons = {entry.key: entry.reason for entry in inspect_snapshot(alone).kinds.entries}
        assert reasons[Kind.CLUSTERS] == reasons[Kind.MASKS] == NO_OTHERS

    def test_a_method_that_is_not_mined_says_why(self, state):
        hamil = with_answer(state, build.card("hamil", aggregator="hamil"))
        reasons = {entry.key: entry.reason for entry in inspect_snapshot(hamil).kinds.entries}
        assert reasons[Kind.MASKS].endswith("this is hamil.")
        assert reasons[Kind.CLUSTERS] == ""

    def test_every_kind_and_scale_has_words(self):
        assert set(KIND_TEXTS) == set(Kind)
        assert set(SCALE_TEXTS) == set(ScaleMode)


class TestDisplay:
    def test_classes_are_offered_where_there_are_several(self, state):
        assert inspect_snapshot(state).names.entries == ()
        names = inspect_snapshot(with_answer(state, GRADE)).names
        assert (keys(names), names.current) == (["high", "low", "middle"], "high"), (
            "predicted first"
        )

    def test_a_map_has_a_scale_and_groups_have_none(self, state):
        assert inspect_snapshot(state).scales.current is ScaleMode.RAW
        attention = actions.choose_kind(state, Kind.ATTENTION)
        assert inspect_snapshot(attention).scales.current is ScaleMode.RANK
        clusters = actions.choose_kind(state, Kind.CLUSTERS)
        assert inspect_snapshot(clusters).scales.entries == ()

    @pytest.mark.parametrize("role", [Role.OVERLAY, Role.GROUPS, Role.MARKS])
    def test_an_overlay_hidden_by_its_eye_is_hidden_here(self, state, role):
        state = actions.set_look(state, role, Look(visible=False))
        assert not inspect_snapshot(state).visible

    def test_an_opacity_changed_on_the_layer_is_shown_here(self, state):
        state = actions.set_look(state, Role.OVERLAY, Look(opacity=0.3))
        assert inspect_snapshot(state).opacity == 0.3


class TestGroups:
    def test_wards_clusters_are_offered_first_and_single_linkage_one_click_away(self, state):
        linkages = inspect_snapshot(state).linkages
        assert linkages.current is Linkage.WARD
        assert keys(linkages) == [Linkage.WARD, Linkage.AVERAGE, Linkage.SINGLE]

    def test_the_merges_of_the_method_itself_are_offered_by_its_name(self, state):
        said = build.answer(state.current_subject, build.card("hamil", aggregator="hamil"))
        own = replace(said, prediction=replace(said.prediction, tree=build.tree(6)))
        linkages = inspect_snapshot(build.answered(state, own)).linkages
        assert keys(linkages) == [Linkage.WARD, Linkage.AVERAGE, Linkage.OWN]
        assert linkages.entries[2].text == "merges of hamil"

    def test_clusters_are_listed_with_colour_and_size(self, state):
        state = actions.add_tree(state, 1, "malignancy", Linkage.WARD, build.tree(6))
        state = actions.choose_clusters(actions.choose_kind(state, Kind.CLUSTERS), 3)
        snapshot = inspect_snapshot(state)
        assert snapshot.shows_clusters
        assert [(name, n) for name, _, n in snapshot.groups] == [("1", 4), ("2", 1), ("3", 1)]

    def test_there_are_at_most_as_many_clusters_as_instances(self, state):
        snapshot = inspect_snapshot(actions.choose_clusters(state, 48))
        assert (snapshot.n_clusters, snapshot.most_clusters) == (6, 6)

    def test_masks_are_listed_with_their_counts(self, state):
        state = actions.add_masks(state, 1, "malignancy", Mining("ham"), build.mined(6, ("high",)))
        snapshot = inspect_snapshot(actions.choose_kind(state, Kind.MASKS))
        assert snapshot.shows_masks
        assert [(name, n) for name, _, n in snapshot.groups] == [("high", 2)]

    def test_a_question_that_is_worked_on_is_told_for_its_subject(self, state):
        tree = Inquiry(1, "malignancy", Linkage.WARD)
        state = actions.start_inquiry(state, tree)
        assert inspect_snapshot(state).working == "Growing the tree of the bag…"
        masks = Inquiry(1, "malignancy", mining=Mining("ham"))
        assert inspect_snapshot(actions.start_inquiry(state, masks)).working.startswith("Asking")
        elsewhere = with_answer(actions.add_subject(state, build.slide_subject(2)), MALIGNANCY)
        assert inspect_snapshot(elsewhere).working == ""


class TestInstance:
    def test_the_selected_tile_shows_its_numbers_and_its_place(self, state):
        best = int(np.argmax(state.values))
        shown = inspect_snapshot(actions.select(state, [best])).instance
        assert shown.title == f"Tile {best}"
        rows = dict(shown.rows)
        x, y = state.layout.coords[best]
        assert rows["Position"] == f"x {x:.0f}, y {y:.0f} px of level 0"
        assert rows["score: tumour"] == f"{state.values[best]:.3g} · rank 1 of 6"

    def test_several_tiles_show_the_last_one(self, state):
        shown = inspect_snapshot(actions.select(state, [0, 1, 5])).instance
        assert shown.title == "Tile 5 and 2 more"

    def test_an_image_is_told_by_its_name(self):
        polyps = build.card("polyps", instances=IMAGES)
        state = build.state_of(build.images_subject(), cards=(polyps,))
        state = actions.select(with_answer(state, polyps), [3])
        assert ("Image", "3.png") in inspect_snapshot(state).instance.rows

    def test_pixels_are_those_of_the_selected_tile(self, state):
        state = actions.select(state, [1])
        pixels = np.zeros((2, 2, 3), np.uint8)
        state = actions.set_closeup(state, Closeup(1, 1, pixels))
        assert inspect_snapshot(state).instance.pixels is pixels
        assert inspect_snapshot(actions.select(state, [2])).instance.pixels is None

    def test_the_selection_of_another_slide_is_not_shown(self, state):
        state = actions.select(state, [1])
        state = with_answer(actions.add_subject(state, build.slide_subject(2)), MALIGNANCY)
        assert inspect_snapshot(state).instance is None

    def test_a_tile_of_a_run_shows_values_of_that_run(self, state):
        columns = {"attention": np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, np.nan], np.float32)}
        layout = build.grid_layout(2, 4)
        run = build.run(state.current_subject, GRADE, layout=layout, columns=columns)
        state = actions.select(actions.start_run(state, run), [6])
        assert inspect_snapshot(state).instance.rows[0] == ("attention", "0.7 · rank 1 of 8")

    def test_a_tile_of_the_watched_bag_shows_its_value_in_that_epoch(self, state):
        state = actions.select(watching(state), [1])
        value = f"{build.values(2)[1]:.3g}"
        assert inspect_snapshot(state).instance.rows[0] == ("score", value)

    def test_snapshots_of_the_same_state_are_equal(self, state):
        state = actions.select(state, [1])
        assert inspect_snapshot(state) == inspect_snapshot(state)
        assert inspect_snapshot(state) != inspect_snapshot(actions.select(state, [2]))


class TestTraining:
    def test_the_watched_slide_can_be_looked_into_without_an_answer(self):
        snapshot = inspect_snapshot(watching(build.state_of(build.slide_subject())))
        assert (keys(snapshot.kinds), snapshot.kinds.current) == ([Kind.TRAINING], Kind.TRAINING)

    def test_a_map_of_other_slides_is_not_shown_as_chosen_for_a_slide_without_an_answer(self):
        state = watching(build.state_of(build.slide_subject()))
        kinds = inspect_snapshot(actions.choose_kind(state, Kind.SCORE)).kinds
        assert (keys(kinds), kinds.current) == ([Kind.TRAINING], None)

    def test_masks_of_an_epoch_are_offered_beside_its_values(self, state):
        assert inspect_snapshot(watching(state)).names.entries == ()
        names = inspect_snapshot(watching(state, build.mined(2, ("high",)))).names
        assert keys(names) == ["", "masked"]

    def test_a_run_about_the_watched_slide_can_be_chosen_before_its_answer(self):
        state = watching(build.state_of(build.slide_subject(), cards=(MALIGNANCY,)))
        columns = {"attention": build.values(2)}
        layout = build.grid_layout(1, 2)
        run = build.run(state.current_subject, MALIGNANCY, layout=layout, columns=columns)
        kinds = inspect_snapshot(actions.start_run(state, run)).kinds
        assert kinds.current in keys(kinds)
