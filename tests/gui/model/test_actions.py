"""Every action of the session, and what the window shows after it."""

from dataclasses import replace

import numpy as np
import pytest

from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Inquiry, Linkage
from napari_mil.gui.model.display import Kind, Look, Role
from napari_mil.gui.model.inputs import reason_not_to_fit, stale_reasons
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.scene import scene
from napari_mil.gui.model.session import Closeup, Session
from napari_mil.gui.model.subjects import AnnotationLayer, TissueChoice
from napari_mil.inference.card import FEATURES, IMAGES
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade")


def answered_slide(*cards, layout=None, critical=False):
    """Return a state with one slide that every one of some classifiers has answered about."""
    slide = build.slide_subject()
    state = build.state_of(slide)
    answers = [build.answer(slide, card, layout=layout, critical=critical) for card in cards]
    return build.answered(state, *answers)


class TestSubjects:
    def test_what_is_opened_is_shown(self):
        state = build.state_of(build.slide_subject(1), build.images_subject(2))
        assert state.current == 2

    def test_a_second_subject_of_the_same_name_is_told_apart_by_its_folder(self):
        state = build.state_of(build.slide_subject(1), build.slide_subject(2))
        assert [subject.name for subject in state.subjects] == ["a.svs", "a.svs (slides)"]

    def test_a_third_subject_of_the_same_name_gets_a_number(self):
        state = build.state_of(*(build.slide_subject(key) for key in (1, 2, 3)))
        assert state.current_subject.name == "a.svs (2)"

    def test_a_subject_of_an_open_key_takes_its_place(self):
        state = build.state_of(build.slide_subject(1, "a.svs"), build.slide_subject(1, "b.svs"))
        assert [subject.name for subject in state.subjects] == ["b.svs"]

    def test_numbers_for_what_comes_next_are_free(self):
        assert build.state_of(build.slide_subject(7)).next_key == 8

    def test_choosing_a_subject_shows_it_and_drops_the_message_of_another(self):
        state = build.state_of(build.slide_subject(1), build.slide_subject(2))
        state = actions.choose_subject(replace(state, message="No tissue."), 1)
        assert (state.current, state.message) == (1, "")

    def test_choosing_what_is_not_open_changes_nothing(self):
        state = build.state_of(build.slide_subject(1))
        assert actions.choose_subject(state, 9) is state

    def test_a_slide_that_has_an_answer_shows_it_again_when_one_comes_back(self):
        first = build.slide_subject(1)
        second = build.slide_subject(2)
        state = build.state_of(first, second)
        answer = build.answer(first, MALIGNANCY)
        state = build.answered(state, answer, build.answer(second, GRADE))
        state = actions.choose_subject(state, 2)
        assert state.shown_answer.classifier == "grade"
        assert actions.choose_subject(state, 1).shown_answer is answer

    def test_the_classifier_that_answered_is_chosen_again_with_its_subject(self):
        state = answered_slide(GRADE)
        state = actions.add_subject(state, build.slide_subject(2))
        state = actions.choose_classifier(state, "malignancy")
        assert actions.choose_subject(state, 1).classifier == "grade"

    def test_a_classifier_that_fits_is_chosen_for_another_kind_of_subject(self):
        polyps = build.card("polyps", instances=IMAGES)
        state = build.state_of(build.slide_subject(1), cards=(MALIGNANCY, polyps))
        assert actions.add_subject(state, build.images_subject(2)).classifier == "polyps"

    def test_a_classifier_that_fits_stays_chosen(self):
        state = build.state_of(build.slide_subject(1), classifier="grade")
        assert actions.add_subject(state, build.slide_subject(2)).classifier == "grade"

    def test_stepping_goes_round(self):
        state = build.state_of(*(build.slide_subject(key) for key in (1, 2, 3)))
        assert actions.step_subject(state, 1).current == 1
        assert actions.step_subject(state, -1).current == 2

    def test_closing_shows_the_next_subject_or_nothing(self):
        state = build.state_of(build.slide_subject(1), build.slide_subject(2))
        state = actions.close_subject(state, 2)
        assert state.current == 1
        assert actions.close_subject(state, 1).current is None

    def test_closing_another_subject_keeps_the_one_that_is_shown(self):
        state = build.state_of(build.slide_subject(1), build.slide_subject(2))
        assert actions.close_subject(state, 1).current == 2

    def test_closing_takes_everything_along_that_spoke_of_the_subject(self):
        state = answered_slide(MALIGNANCY)
        state = actions.select(state, [1])
        state = actions.set_closeup(state, Closeup(1, 1, np.zeros((2, 2, 3), np.uint8)))
        state = actions.start_run(state, build.run(state.current_subject, GRADE))
        state = actions.start_inquiry(state, Inquiry(1, "malignancy", Linkage.WARD))
        state = actions.close_subject(actions.start_detecting(state, 1), 1)
        rest = (state.answers, state.selection, state.closeup, state.run, state.inquiry)
        assert rest == ((), None, None, None, None)
        assert state.detecting is None

    def test_closing_leaves_the_answers_and_the_run_of_others(self):
        state = answered_slide(MALIGNANCY)
        answers = state.answers
        state = actions.start_run(state, build.run(state.current_subject, GRADE))
        state = actions.add_subject(state, build.slide_subject(2))
        closed = actions.close_subject(state, 2)
        assert closed.answers == answers
        assert closed.run is state.run

    def test_a_subject_can_be_renamed(self):
        state = actions.rename_subject(build.state_of(build.slide_subject()), 1, "biopsy")
        assert state.current_subject.name == "biopsy"
        assert actions.rename_subject(state, 1, "biopsy") is state

    def test_other_pixels_of_a_subject_leave_everything_else(self):
        state = answered_slide(MALIGNANCY)
        pixels = build.pixels()
        changed = actions.set_pixels(state, 1, pixels)
        assert changed.current_subject.pixels is pixels
        assert changed.answers is state.answers
        assert actions.set_pixels(state, 9, pixels) is state

    def test_regions_of_the_same_file_are_replaced(self):
        state = build.state_of(build.slide_subject())
        layers = [
            AnnotationLayer(name, np.zeros((n, 2, 2)), (), n)
            for name, n in (("a.xml", 1), ("b.xml", 2), ("a.xml", 3))
        ]
        for layer in layers:
            state = actions.add_annotations(state, 1, layer)
        assert state.current_subject.annotations == (layers[1], layers[2])
        state = actions.remove_annotations(state, 1, "b.xml")
        assert state.current_subject.annotations == (layers[2],)

    def test_what_is_opened_twice_at_once_ends_once_at_a_time(self):
        state = build.state_of()
        for _ in range(2):
            state = actions.start_opening(state, "a.svs")
        state = actions.end_opening(state, "a.svs")
        assert state.opening == ("a.svs",)
        assert actions.end_opening(state, "b.svs").opening == ("a.svs",)


class TestNothingMadeIsLost:
    def test_another_scale_keeps_tissue_and_answers_and_marks_them_stale(self):
        state = answered_slide(MALIGNANCY)
        state = actions.set_tissue(state, 1, build.mask(), painted=False)
        slide = state.current_subject.slide.at(0.25)
        changed = actions.set_slide(state, 1, slide)
        assert changed.answers == state.answers
        assert changed.current_subject.tissue is state.current_subject.tissue
        assert "the scale is another" in stale_reasons(changed, changed.shown_answer)

    def test_the_same_scale_again_leaves_the_answer_as_it_is(self):
        state = answered_slide(MALIGNANCY)
        same = actions.set_slide(state, 1, replace(state.current_subject.slide))
        assert stale_reasons(same, same.shown_answer) == ()

    def test_a_run_leaves_the_answer_before_it_until_it_is_finished(self):
        state = answered_slide(MALIGNANCY)
        answer = state.shown_answer
        state = actions.start_run(state, build.run(state.current_subject, MALIGNANCY))
        assert state.shown_answer is answer
        ended = actions.end_run(state, 100, "There is no tissue.")
        assert (ended.shown_answer, ended.message) == (answer, "There is no tissue.")

    def test_a_finished_run_replaces_only_the_answer_of_its_own_classifier(self):
        state = answered_slide(MALIGNANCY, GRADE)
        subject = state.current_subject
        state = actions.start_run(state, build.run(subject, MALIGNANCY))
        new = build.answer(subject, MALIGNANCY, seed=1)
        old = state.answer(1, "grade")
        state = actions.finish_run(state, 100, new)
        assert set(state.answers) == {old, new}
        assert state.shown_answer is new

    def test_removed_tissue_is_detected_by_the_next_run(self):
        state = build.state_of(build.slide_subject())
        state = actions.set_tissue(state, 1, build.mask(), painted=True)
        assert state.current_subject.tissue_choice is TissueChoice.LAYER
        state = actions.remove_tissue(state, 1)
        assert state.current_subject.tissue is None
        assert state.current_subject.tissue_choice is TissueChoice.DETECT


class TestClassifiers:
    @pytest.mark.parametrize(
        ("subject", "card", "reason"),
        [
            (build.slide_subject(), MALIGNANCY, ""),
            (build.slide_subject(), build.card(instances=IMAGES), "not slides"),
            (build.slide_subject(), build.card(instances=FEATURES), "feature files"),
            (build.fluorescence_subject(), MALIGNANCY, "fluorescence"),
            (build.images_subject(), build.card(instances=IMAGES), ""),
            (build.images_subject(), MALIGNANCY, "not folders of images"),
            (build.features_subject(), MALIGNANCY, ""),
            (build.features_subject(width=9), MALIGNANCY, "8 values an instance; these have 9"),
            (build.features_subject(encoder="other"), MALIGNANCY, "another encoder"),
            (build.features_subject(encoder="encoder-1"), MALIGNANCY, ""),
        ],
    )
    def test_a_classifier_says_why_it_does_not_fit(self, subject, card, reason):
        said = reason_not_to_fit(card, subject)
        assert reason in said
        assert bool(reason) == bool(said)

    def test_an_opened_checkpoint_is_chosen(self, tmp_path):
        opened = build.card("published", checkpoint=tmp_path)
        state = actions.add_card(build.state_of(build.slide_subject()), opened)
        assert state.card is opened

    def test_opened_checkpoints_stay_when_the_list_is_read_again(self, tmp_path):
        opened = build.card("published", folder=None, checkpoint=tmp_path)
        state = actions.add_card(build.state_of(), opened)
        state = actions.set_cards(state, (MALIGNANCY,), gone=("grade",))
        assert [card.name for card in state.cards] == ["malignancy", "published"]
        assert state.classifier == "published"

    def test_a_classifier_whose_files_are_gone_is_offered_no_more(self):
        state = actions.add_card(build.state_of(), build.card("gone"))
        state = actions.set_cards(state, (MALIGNANCY,), gone=("gone", "grade"))
        assert state.cards == (MALIGNANCY,)
        assert state.classifier == "malignancy"

    def test_the_last_used_classifier_is_preferred_at_the_start(self):
        state = actions.set_cards(build.state_of(cards=()), (MALIGNANCY, GRADE), "grade")
        assert state.classifier == "grade"

    def test_a_classifier_that_is_not_offered_cannot_be_chosen(self):
        state = build.state_of()
        assert actions.choose_classifier(state, "unheard") is state

    def test_choosing_a_classifier_that_answered_shows_its_answer(self):
        state = answered_slide(MALIGNANCY, GRADE)
        state = actions.choose_classifier(state, "malignancy")
        assert state.shown_answer.classifier == "malignancy"


class TestRuns:
    def running(self):
        state = build.state_of(build.slide_subject())
        return actions.start_run(state, build.run(state.current_subject, MALIGNANCY))

    def test_a_run_takes_its_number_from_what_comes_next(self):
        assert self.running().next_key == 101

    def test_remarks_of_a_run_add_up(self):
        state = actions.add_run_remark(self.running(), 100, "One tile.")
        state = actions.add_run_remark(state, 100, "Missing pixels.")
        assert state.run.remarks == ("One tile.", "Missing pixels.")

    def test_a_late_event_of_an_ended_run_changes_nothing(self):
        state = actions.end_run(self.running(), 100)
        answer = build.answer(state.current_subject, MALIGNANCY)
        assert actions.update_run(state, 100, done=4) is state
        assert actions.add_run_remark(state, 100, "late") is state
        assert actions.keep_detected_tissue(state, 100, build.mask()) is state
        assert actions.finish_run(state, 100, answer) is state
        assert actions.end_run(state, 100, "late") is state

    def test_an_answer_about_a_subject_that_was_closed_is_dropped(self):
        state = self.running()
        answer = build.answer(state.current_subject, MALIGNANCY)
        closed = actions.close_subject(state, 1)
        running = replace(closed, run=state.run)
        assert actions.finish_run(running, 100, answer).answers == ()

    def test_an_answer_about_another_slide_does_not_change_what_is_shown(self):
        state = actions.add_subject(self.running(), build.slide_subject(2))
        answer = build.answer(state.subject(1), MALIGNANCY)
        state = actions.finish_run(state, 100, answer)
        assert (state.current, state.shown_answer) == (2, None)
        assert actions.choose_subject(state, 1).shown_answer is answer

    def test_a_run_takes_the_canvas_back_from_the_training(self):
        state = actions.show_training(build.state_of(build.slide_subject()))
        state = actions.start_run(state, build.run(state.current_subject, MALIGNANCY))
        assert state.display.kind is None

    def test_a_new_answer_ends_the_question_about_the_one_before(self):
        state = self.running()
        state = actions.start_inquiry(state, Inquiry(1, "malignancy", Linkage.WARD))
        answer = build.answer(state.current_subject, MALIGNANCY)
        assert actions.finish_run(state, 100, answer).inquiry is None


class TestDisplay:
    def test_a_kind_that_is_chosen_becomes_visible(self):
        state = actions.hide_overlay(answered_slide(MALIGNANCY))
        state = actions.choose_kind(state, Kind.ATTENTION)
        assert scene(state).legend is not None

    def test_the_overlay_goes_and_comes_by_one_key(self):
        state = actions.toggle_overlay(answered_slide(MALIGNANCY))
        assert scene(state).legend is None
        assert scene(actions.toggle_overlay(state)).legend is not None

    def test_the_key_brings_back_what_was_hidden_by_its_eye_in_the_layer_list(self):
        state = answered_slide(MALIGNANCY)
        state = actions.add_tree(state, 1, "malignancy", Linkage.WARD, build.tree(6))
        state = actions.choose_kind(state, Kind.CLUSTERS)
        state = actions.set_look(state, Role.GROUPS, Look(visible=False))
        assert scene(state).legend is None
        assert scene(actions.toggle_overlay(state)).legend is not None

    def test_an_opacity_leaves_what_is_hidden_hidden(self):
        state = actions.hide_overlay(answered_slide(MALIGNANCY))
        state = actions.set_look(state, Role.OVERLAY, Look(opacity=0.4))
        assert state.display.look(Role.OVERLAY) == Look(visible=False, opacity=0.4)

    def test_stepping_through_classes_goes_round(self):
        grade = build.card("grade", classes=("low", "middle", "high"), link="softmax")
        state = build.state_of(build.slide_subject(), cards=(grade,))
        state = build.answered(state, build.answer(state.current_subject, grade))
        seen = []
        for _ in range(4):
            state = actions.step_name(state, 1)
            seen.append(state.column.name)
        assert seen == ["low", "middle", "high", "low"], "high is predicted and comes first"

    def test_a_display_stays_from_one_subject_to_the_next(self):
        state = actions.choose_kind(answered_slide(MALIGNANCY), Kind.ATTENTION)
        state = actions.choose_scale(state, ScaleMode.LOG)
        state = actions.add_subject(state, build.slide_subject(2))
        assert (state.display.kind, state.display.scale) == (Kind.ATTENTION, ScaleMode.LOG)

    @pytest.mark.parametrize("kind", [Kind.TRAINING, Kind.CRITICAL, Kind.SIMILARITY])
    def test_what_an_answer_has_is_shown_where_the_display_chooses_what_it_lacks(self, kind):
        state = actions.choose_kind(answered_slide(MALIGNANCY), kind)
        assert state.column.kind is Kind.SCORE
        assert scene(state).legend.text.startswith("score")

    def test_one_instance_has_no_clusters(self):
        state = answered_slide(MALIGNANCY, layout=build.grid_layout(1, 1))
        assert actions.choose_kind(state, Kind.CLUSTERS).column.kind is Kind.SCORE

    def test_masks_are_not_shown_for_a_classifier_that_is_not_mined(self):
        hamil = build.card("hamil", aggregator="hamil")
        state = build.state_of(build.slide_subject(), cards=(hamil,))
        state = build.answered(state, build.answer(state.current_subject, hamil))
        assert actions.choose_kind(state, Kind.MASKS).column.kind is Kind.SCORE

    def test_clusters_and_their_number_are_chosen_apart(self):
        state = actions.choose_clusters(build.state_of(), 5)
        state = actions.choose_clusters(state, linkage=Linkage.SINGLE)
        assert (state.display.n_clusters, state.linkage) == (5, Linkage.SINGLE)

    def test_clusters_are_wards_unless_another_tree_is_chosen(self):
        assert build.state_of().linkage is Linkage.WARD

    def test_after_a_question_that_failed_the_first_map_is_shown(self):
        state = actions.choose_kind(answered_slide(MALIGNANCY), Kind.CLUSTERS)
        state = actions.end_inquiry(state, failed=True)
        assert state.column.kind is Kind.SCORE

    def test_trees_and_masks_belong_to_the_answer_they_were_asked_of(self):
        state = answered_slide(MALIGNANCY, GRADE)
        tree = build.tree(6)
        masks = build.mined(6)
        state = actions.add_tree(state, 1, "malignancy", Linkage.WARD, tree)
        state = actions.add_masks(state, 1, "malignancy", Mining("ham"), masks)
        asked = state.answer(1, "malignancy")
        assert (asked.trees, asked.masks) == ({Linkage.WARD: tree}, {Mining("ham"): masks})
        assert state.answer(1, "grade").trees == {}


class TestSelection:
    def test_selecting_nothing_clears(self):
        state = actions.select(answered_slide(MALIGNANCY), [1])
        assert actions.select(state, []).selection is None

    def test_selecting_the_same_again_changes_nothing(self):
        state = actions.select(answered_slide(MALIGNANCY), [1, 2])
        assert actions.select(state, [1, 2]) is state

    def test_instances_that_do_not_exist_are_not_selected(self):
        state = actions.select(answered_slide(MALIGNANCY), [-1, 2, 6])
        assert state.selection.instances == (2,)

    def test_stepping_goes_from_the_highest_to_the_lowest_and_stops(self):
        state = answered_slide(MALIGNANCY)
        order = np.argsort(-state.values).tolist()
        seen = []
        for _ in range(7):
            state = actions.step_selection(state, 1)
            seen.append(state.selection.instance)
        assert seen == [*order, order[-1]]

    def test_stepping_back_from_the_highest_stays(self):
        state = actions.step_selection(answered_slide(MALIGNANCY), 1)
        assert actions.step_selection(state, -1) is state

    def test_there_is_nothing_to_step_through_without_an_answer(self):
        state = build.state_of(build.slide_subject())
        assert actions.step_selection(state, 1) is state

    def test_pixels_of_an_instance_that_is_not_selected_any_more_are_dropped(self):
        state = actions.select(answered_slide(MALIGNANCY), [1])
        late = Closeup(1, 0, np.zeros((2, 2, 3), np.uint8))
        assert actions.set_closeup(state, late) is state

    def test_a_selection_goes_when_its_instances_are_others(self):
        state = answered_slide(GRADE)
        small = build.answer(state.current_subject, MALIGNANCY, layout=build.grid_layout(1, 2))
        session = Session(actions.choose_classifier(build.answered(state, small), "grade"))
        session.apply(actions.select, [4])
        session.apply(actions.choose_classifier, "malignancy")
        assert session.state.selection is None

    def test_a_selection_stays_when_the_same_tiles_are_classified_again(self):
        session = Session(answered_slide(MALIGNANCY))
        session.apply(actions.select, [4])
        subject = session.state.current_subject
        session.apply(actions.start_run, build.run(subject, MALIGNANCY))
        session.apply(actions.finish_run, 100, build.answer(subject, MALIGNANCY, seed=1))
        assert session.state.selection.instances == (4,)

    def test_a_selection_waits_while_another_subject_is_shown(self):
        session = Session(answered_slide(MALIGNANCY))
        session.apply(actions.select, [4])
        session.apply(actions.add_subject, build.slide_subject(2))
        session.apply(actions.choose_subject, 1)
        assert session.state.selection.instances == (4,)


class TestNotices:
    def test_a_notice_stays_until_it_is_closed(self):
        state = actions.add_notice(build.state_of(), "a.svs is no slide.", "Traceback")
        (notice,) = state.notices
        state = actions.add_subject(state, build.slide_subject())
        assert state.notices == (notice,)
        assert actions.close_notice(state, notice.key).notices == ()

    def test_the_same_sentence_is_shown_once_and_last(self):
        state = build.state_of()
        for text in ("one", "two", "one"):
            state = actions.add_notice(state, text)
        assert [notice.text for notice in state.notices] == ["two", "one"]
