"""State of the training: what was found, set up, watched, and came out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_mil.events import EpochEnded, Watched
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.training import (
    Phase,
    Result,
    Training,
    Watch,
    loss_of,
    overlap_of_masks,
    overlap_of_top,
)
from napari_mil.gui.model.training_form import Form
from napari_mil.training.cohorts.cohort import FEATURES, IMAGES
from tests.gui.model import builders as build


def watched(n=4):
    return Watched(build.values(n), "score", np.array([0.2, 0.8], np.float32), {})


def watch(**fields):
    return Watch(Path("a.svs"), "run-1", ("normal", "tumour"), **fields)


def trained(cohort=None, **fields):
    training = actions.set_cohort(Training(), cohort or build.cohort(), "", "")
    return replace(training, **fields)


class TestWatch:
    def test_the_newest_epoch_is_shown_while_it_follows(self):
        seen = watch().with_epoch(1, watched()).with_epoch(2, watched())
        assert (seen.shown, seen.watched) == (2, seen.epochs[1][1])

    def test_an_epoch_that_a_person_chose_stays_while_others_come(self):
        seen = watch().with_epoch(1, watched()).with_epoch(2, watched()).at(1)
        assert seen.with_epoch(3, watched()).shown == 1

    def test_choosing_the_last_epoch_follows_again(self):
        seen = watch().with_epoch(1, watched()).with_epoch(2, watched()).at(1).at(9)
        assert seen.with_epoch(3, watched()).shown == 3

    def test_the_nearest_epoch_is_shown(self):
        seen = watch(epochs=((3, watched()), (7, watched())))
        assert (seen.at(4).shown, seen.at(6).shown) == (3, 7)
        assert watch().at(2).shown is None

    def test_the_oldest_epochs_go_where_memory_ends(self, monkeypatch):
        monkeypatch.setattr(actions, "RING_MB", 48e-6)
        seen = watch()
        for epoch in range(1, 6):
            seen = seen.with_epoch(epoch, watched())
            if epoch == 1:
                seen = replace(seen, follows=False)
        assert [epoch for epoch, _ in seen.epochs] == [3, 4, 5]
        assert seen.shown == 3


class TestCohort:
    def test_another_folder_is_another_question(self):
        training = trained(form=Form(aggregator="dsmil", positive_class="normal", folds=5))
        other = replace(build.cohort(), source=Path("other"))
        form = actions.set_cohort(training, other, "", "").form
        assert form == Form(aggregator="dsmil")

    def test_the_same_folder_again_keeps_what_was_entered(self):
        form = Form(positive_class="normal", folds=5)
        training = actions.set_cohort(trained(form=form), build.cohort(), "", "")
        assert training.form == form

    def test_a_positive_class_that_is_gone_is_chosen_no_more(self):
        training = trained(form=Form(positive_class="normal"))
        other = build.cohort(classes=("low", "high"))
        assert actions.set_cohort(training, other, "", "").form.positive_class == ""

    def test_a_folder_in_trouble_says_why_and_cannot_be_trained_on(self):
        training = actions.set_cohort(Training(), build.cohort(), "One class only.", "")
        assert (training.message, training.is_trainable) == ("One class only.", False)

    def test_forgetting_keeps_the_method(self):
        form = Form(aggregator="dsmil")
        training = actions.forget_cohort(trained(form=form), "Gone.")
        assert (training.cohort, training.form, training.message) == (None, form, "Gone.")

    def test_the_tab_stays_once_it_was_wanted(self):
        assert actions.want(Training()).wanted
        assert actions.look_at(Training(), "Looking…").wanted


class TestSettled:
    def test_features_settle_tiles_tissue_and_encoder(self):
        training = trained(build.cohort(FEATURES))
        assert set(training.settled) == {"tile_px", "mpp", "mask"}
        assert training.encoder_reason == "The files hold features already."

    def test_images_have_no_tissue(self):
        assert set(trained(build.cohort(IMAGES)).settled) == {"mask"}

    def test_a_classifier_to_start_from_settles_method_tiles_and_encoder(self):
        dsmil = build.card("dsmil", aggregator="dsmil")
        training = actions.set_start(trained(), "dsmil", dsmil)
        assert (training.form.start_from, training.form.aggregator) == ("dsmil", "dsmil")
        assert set(training.settled) == {"tile_px", "mpp"}
        assert training.encoder_reason == "As in dsmil, whose weights are the start."
        fresh = actions.set_start(training, "", None)
        assert (fresh.form.start_from, fresh.settled) == ("", {})

    def test_what_is_settled_is_not_passed_on(self):
        form = Form(encoder="resnet50").with_advanced("tile_px", "512")
        assert trained(form=form).fields["encoder"] == "resnet50"
        assert trained(form=form).fields["tile_px"] == 512
        settled = trained(build.cohort(FEATURES), form=form).fields
        assert not {"encoder", "tile_px"} & set(settled)


class TestProblem:
    def test_a_set_up_without_a_fault_has_no_complaint(self):
        assert trained().problem == ("", "")

    def test_slides_without_scale_need_one(self):
        training = trained(build.cohort(mpp=None))
        assert training.problem[0].startswith("6 slides do not say their scale")
        entered = actions.set_form(training, Form(slide_mpp="0,5"))
        assert entered.problem == ("", "")
        assert entered.fields["slide_mpp"] == 0.5

    def test_a_scale_is_not_passed_on_where_every_slide_says_its_own(self):
        assert "slide_mpp" not in trained(form=Form(slide_mpp="0.5")).fields

    def test_a_complaint_names_its_row_and_goes_with_its_cause(self):
        form = Form().with_advanced("patience", "many")
        training = actions.complain(trained(form=form))
        assert training.wrong_row == "patience"
        assert "'many'" in training.message
        mended = actions.set_form(training, form.with_advanced("patience", "5"))
        assert (mended.message, mended.wrong_row) == ("", "")

    def test_what_was_said_without_caution_stays_while_the_form_changes(self):
        training = actions.say(trained(), "Regions were written.", cautions=False)
        changed = actions.set_form(training, Form(folds=5))
        assert changed.message == "Regions were written."


class TestRun:
    def run(self, **fields):
        training = trained(**fields)
        return actions.start(training, Path("run-1"), watch(), judges=False)

    def test_a_run_begins_with_nothing_of_the_one_before(self):
        training = self.run(rows=({"loss": 1.0},), remarks=("odd",), message="Failed.", done=3)
        assert (training.rows, training.remarks, training.message, training.done) == ((), (), "", 0)
        assert training.phase is Phase.RUNNING
        assert training.starting

    def test_evaluating_keeps_the_curves_and_the_result(self):
        result = Result(build.card(), Path("run-1/classifier"))
        training = trained(rows=({"loss": 1.0},), epochs=1, result=result)
        judging = actions.start(training, Path("run-1"), None, judges=True)
        assert (judging.rows, judging.result) == (training.rows, result)

    def test_an_epoch_adds_a_row_an_overlay_and_the_time_left(self):
        training = actions.count(self.run(), "epochs", 0, 10)
        event = EpochEnded(1, {"loss": 0.7, "seconds": 2.0}, watched())
        training = actions.add_epoch(training, event)
        assert (training.done, training.total, training.eta) == (1, 10, 18.0)
        assert (training.cursor, training.watch.shown) == (1, 1)
        assert training.rows == ({"loss": 0.7, "seconds": 2.0},)

    def test_counting_bags_leaves_the_number_of_epochs(self):
        training = actions.count(self.run(), "epochs", 0, 10)
        training = actions.count(training, "folds", 1, 5, 3.0)
        assert (training.epochs, training.total, training.eta) == (10, 5, 3.0)
        assert not training.starting

    def test_an_epoch_that_is_chosen_is_marked_in_the_curves_too(self):
        training = replace(self.run(), watch=watch(epochs=((1, watched()), (2, watched()))))
        training = actions.show_epoch(training, 1)
        assert (training.watch.shown, training.cursor) == (1, 1)

    def test_curves_are_marked_without_a_watched_bag(self):
        assert actions.show_epoch(trained(), 4).cursor == 4

    def test_an_unfinished_folder_can_be_resumed(self):
        training = actions.set_out(trained(), Path("run-1"), chosen=True, unfinished=True)
        assert training.phase is Phase.INTERRUPTED

    def test_a_run_that_failed_says_why(self):
        training = actions.end(self.run(), Phase.IDLE, "The disk is full.", cautions=True)
        assert (training.message, training.cautions, training.starting) == (
            "The disk is full.",
            True,
            False,
        )

    def test_an_earlier_run_shows_its_curves_and_its_classifier(self):
        result = Result(build.card(), Path("run-1/classifier"))
        rows = ({"loss": 1.0}, {"loss": 0.5})
        training = actions.open_run(trained(), rows, result)
        assert (training.epochs, training.phase) == (2, Phase.DONE)
        again = actions.set_up_again(training)
        assert (again.phase, again.result) == (Phase.IDLE, None)

    def test_a_run_without_a_watched_bag_lays_out_nothing(self):
        training = trained()
        assert actions.set_watch_layout(training, build.grid_layout(), "test") is training


@pytest.mark.parametrize("phase", Phase)
def test_only_a_run_under_way_is_busy(phase):
    assert phase.is_busy == (phase in ("running", "paused", "stopping"))


def test_of_several_losses_the_bags_own_is_shown():
    assert loss_of({"loss": 2.0, "loss: bag": 0.5}) == 0.5
    assert loss_of({"loss": 2.0, "loss: bag": None}) == 2.0
    assert loss_of({}) is None


def test_the_overlap_of_the_top_tiles_tells_attention_that_swings():
    values = np.arange(20, dtype=np.float32)
    assert overlap_of_top(values, values) == 1
    assert overlap_of_top(values, -values) == 0
    half = values.copy()
    half[18] = -1
    assert overlap_of_top(values, half) == 0.5


def test_overlap_of_masks_is_the_share_of_the_masked_that_were_masked():
    before = {"high": np.array([1, 0, 0, 0], bool), "random": np.array([0, 1, 1, 0], bool)}
    after = {"high": np.array([0, 1, 0, 0], bool), "random": np.array([0, 1, 0, 1], bool)}
    assert overlap_of_masks(before, after) == 0.5
    assert overlap_of_masks(after, before) == pytest.approx(1 / 3)
    assert overlap_of_masks(before, before) == 1


def test_without_masks_there_is_no_overlap():
    masks = {"high": np.array([1, 0], bool)}
    nothing = {"high": np.zeros(2, bool)}
    assert overlap_of_masks({}, masks) is None
    assert overlap_of_masks(masks, {}) is None
    assert overlap_of_masks(masks, nothing) is None
    assert overlap_of_masks(nothing, masks) == 0
