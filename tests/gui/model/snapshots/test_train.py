"""What the Train tab shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_mil.events import Watched
from napari_mil.findings import Finding, FindingKind
from napari_mil.gui.model import training as actions
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.train import (
    EMPTY,
    details_text,
    history_snapshot,
    train_snapshot,
)
from napari_mil.gui.model.training import Phase, Result, Training, Watch
from napari_mil.gui.model.training_form import Form
from napari_mil.inference.card import IMAGES
from napari_mil.inference.facts import TrainingFacts
from napari_mil.training.cohorts.cohort import FEATURES
from napari_mil.training.cohorts.cohort import IMAGES as IMAGE_FOLDERS
from tests.gui.model import builders as build


def state_with(cohort=None, *subjects, suggested="", **fields):
    training = actions.set_cohort(Training(), cohort or build.cohort(), "", suggested)
    cards = (build.card(), build.card("polyps", instances=IMAGES))
    training = replace(training, out=Path("run-1"), **fields)
    return build.state_of(*subjects, cards=cards, training=training)


def snapshot(*arguments, **fields):
    return train_snapshot(state_with(*arguments, **fields))


def texts(choices):
    return [entry.text for entry in choices.entries]


class TestFound:
    def test_with_nothing_chosen_it_says_what_to_choose(self):
        found = train_snapshot(SessionState()).found
        assert (found.facts, found.classes) == ("", EMPTY)

    def test_a_folder_says_its_bags_and_classes(self):
        found = snapshot().found
        assert found.facts == "cohort: 6 bags"
        assert found.classes == "slides · normal 3 · tumour 3"

    def test_known_patients_and_instances_are_counted(self):
        found = snapshot(build.cohort(FEATURES, patients_known=True)).found
        assert found.facts == "cohort: 6 bags · 3 patients · 12 instances"
        assert found.patients == ""

    def test_unknown_patients_are_said(self):
        assert snapshot().found.patients.startswith("Patients unknown: each bag counts as one.")

    def test_a_pattern_that_splits_the_names_is_offered(self):
        found = snapshot(suggested=r"(case\d+)_").found
        assert found.patients == "Patients unknown. The names split evenly into 3:"
        assert found.pattern == r"(case\d+)_"

    def test_a_pattern_that_is_taken_is_offered_no_more(self):
        pattern = r"(case\d+)_"
        found = snapshot(suggested=pattern, form=Form(patient_pattern=pattern)).found
        assert (found.patients, found.pattern) == ("Patients from names: 3.", "")

    def test_what_is_skipped_or_odd_stands_in_one_line_and_all_of_it_in_the_details(self):
        skipped = tuple(
            Finding(FindingKind.SKIPPED, Path(name), "No image.") for name in ("a.txt", "b.txt")
        )
        kinds = (FindingKind.COPY, FindingKind.PATIENT_CONFLICT, FindingKind.ROUNDED)
        warnings = tuple(Finding(kind, Path("c.svs"), f"Is {kind}.") for kind in kinds * 2)
        cohort = replace(build.cohort(), skipped=skipped, warnings=warnings)
        found = snapshot(cohort).found
        assert found.has_details
        assert found.remark == (
            "Skipped: a.txt and 1 more. Odd: 2 copies of other bags, "
            "2 patients with several labels or splits, 2 other notes."
        )
        details = details_text(state_with(cohort, remarks=("Slow.",)).training)
        for words in ("**b.txt**: No image.", "**c.svs**: Is copy.", "- Slow."):
            assert words in details

    def test_a_finding_on_many_files_counts_them_where_they_are_skipped_and_is_one_note(self):
        skipped = (Finding(FindingKind.SKIPPED, Path("a.tif"), "It and 11 others.", 12),)
        warnings = (Finding(FindingKind.GROUPING, Path("root"), "58 folders.", 58),)
        found = snapshot(replace(build.cohort(), skipped=skipped, warnings=warnings)).found
        assert found.facts.endswith("12 skipped")
        assert found.remark == "Skipped: a.tif and 11 more. Odd: 1 note, see Details."


class TestSetup:
    def test_folds_by_bag_are_never_called_by_patient(self):
        assert texts(snapshot().setup.folds) == [
            "no",
            "afterwards, 5 folds by bag (patients unknown)",
            "afterwards, 10 folds by bag (patients unknown)",
        ]

    def test_folds_by_known_patients_are_by_patient(self):
        known = snapshot(build.cohort(patients_known=True)).setup.folds
        named = snapshot(form=Form(patient_pattern=r"(case\d+)_")).setup.folds
        for folds in (known, named):
            assert texts(folds)[1] == "afterwards, 5 folds by patient"

    def test_the_form_makes_room_for_the_run(self):
        assert snapshot().setup.visible
        assert not snapshot(phase=Phase.RUNNING).setup.visible

    def test_the_recipe_fills_what_a_person_leaves_open(self):
        recipe = Form().recipe
        setup = snapshot().setup
        assert (setup.epochs, setup.rate) == (recipe.epochs, f"{recipe.learning_rate:g}")
        own = snapshot(form=Form(epochs=3, learning_rate="0,01")).setup
        assert (own.epochs, own.rate) == (3, "0,01")

    def test_slides_without_scale_ask_for_one(self):
        assert snapshot(build.cohort(mpp=None)).setup.needs_scale
        assert not snapshot().setup.needs_scale

    def test_only_classifiers_of_the_same_kind_of_bag_are_starts(self):
        assert texts(snapshot().setup.starts) == ["fresh weights", "malignancy"]
        images = snapshot(build.cohort(IMAGE_FOLDERS)).setup.starts
        assert texts(images) == ["fresh weights", "polyps"]

    def test_a_start_that_is_not_in_the_list_is_shown_by_its_name(self):
        form = Form(start_from="/models/own")
        starts = snapshot(form=form, start=build.card("own")).setup.starts
        assert (texts(starts)[-1], starts.current) == ("own", "/models/own")

    def test_the_second_of_two_classes_is_positive_unless_another_is_chosen(self):
        assert snapshot().setup.positives.current == "tumour"
        chosen = snapshot(form=Form(positive_class="normal")).setup.positives
        assert chosen.current == "normal"
        three = snapshot(build.cohort(classes=("a", "b", "c"))).setup.positives
        assert three.entries == ()

    def test_features_have_their_encoder_already(self):
        encoders = snapshot(build.cohort(FEATURES)).setup.encoders
        assert (texts(encoders), encoders.reason) == (
            ["in the files"],
            "The files hold features already.",
        )

    def test_a_start_brings_its_encoder_along(self):
        setup = snapshot(form=Form(start_from="malignancy"), start=build.card()).setup
        assert texts(setup.encoders) == ["resnet18, of malignancy"]
        assert setup.aggregators.reason == "As in malignancy, whose weights are the start."

    def test_a_method_that_is_not_mined_says_so(self):
        strategies = snapshot(form=Form(aggregator="hamil")).setup.strategies
        assert strategies.reason.startswith("Masked mining needs")
        assert len(snapshot().setup.strategies.entries) == 5

    def test_changed_rows_are_counted_unless_they_are_settled(self):
        form = Form().with_advanced("seed", 7).with_advanced("tile_px", "512")
        assert snapshot(form=form).setup.n_changed == 2
        assert snapshot(build.cohort(FEATURES), form=form).setup.n_changed == 1


class TestRun:
    @pytest.mark.parametrize(
        ("phase", "button", "second"),
        [
            (Phase.IDLE, "Start", ""),
            (Phase.RUNNING, "Pause", "Cancel"),
            (Phase.PAUSED, "Go on", "Cancel"),
            (Phase.STOPPING, "Stopping…", "Cancel"),
            (Phase.INTERRUPTED, "Resume", "Start afresh…"),
            (Phase.DONE, "Set up another run", ""),
        ],
    )
    def test_buttons_stand_for_what_can_be_done(self, phase, button, second):
        run = snapshot(phase=phase).run
        assert (run.button, run.second) == (button, second)
        assert run.can_press == (phase is not Phase.STOPPING)

    def test_a_result_that_can_be_evaluated_offers_it(self):
        result = Result(build.card(), Path("run-1"), evaluable=True)
        assert snapshot(phase=Phase.DONE, result=result).run.second == "Evaluate"

    def test_without_a_cohort_there_is_no_button(self):
        assert train_snapshot(SessionState()).run.button == ""

    def test_what_runs_is_told_in_one_line(self):
        form = Form(aggregator="dsmil", epochs=3, learning_rate="0.01", start_from="malignancy")
        summary = snapshot(phase=Phase.RUNNING, form=form).run.summary
        assert summary == "malignancy · dsmil · 3 epochs · learning rate 0.01 · in run-1"

    @pytest.mark.parametrize(
        ("known", "words"),
        [
            ({"starting": True}, "Starting…"),
            ({"what": "slides", "done": 1, "total": 4}, "Encoding: slide 2 of 4…"),
            ({"what": "folds", "done": 5, "total": 5, "eta": 9.0}, "fold 5 of 5 · 9 s left"),
            ({"what": "epochs", "total": 9}, "Epoch 1 of 9…"),
            (
                {
                    "what": "epochs",
                    "done": 2,
                    "total": 9,
                    "rows": ({"loss": 0.5, "validation_auc": 0.912},),
                    "eta": 30.0,
                },
                "Epoch 2 of 9 · loss 0.5 · validation AUC 0.91 · 30 s left",
            ),
        ],
    )
    def test_progress_says_what_and_how_far(self, known, words):
        assert snapshot(phase=Phase.RUNNING, **known).run.progress.endswith(words)

    def test_progress_ends_with_the_run(self):
        assert snapshot(what="epochs", total=9).run.progress == ""

    def test_the_last_remarks_are_shown_and_the_rest_is_in_the_details(self):
        run = snapshot(remarks=("one", "two", "three", "four")).run
        assert run.message == "1 more in Details…\ntwo\nthree\nfour"
        assert (run.cautions, run.has_details) == (False, True)

    def test_a_message_goes_before_remarks(self):
        run = snapshot(remarks=("one",), message="The disk is full.").run
        assert (run.message, run.cautions) == ("The disk is full.", True)

    def test_the_curves_show_the_rows_the_cursor_and_the_name_of_the_run(self):
        rows = ({"loss": 1.0},)
        state = state_with(rows=rows, epochs=9, cursor=1)
        history = history_snapshot(state)
        assert (history.rows, history.epochs, history.cursor, history.run) == (rows, 9, 1, "run-1")
        assert history == history_snapshot(state)


class TestWatch:
    def watch(self, masks=None, **fields):
        probabilities = np.array([0.25, 0.75], np.float32)
        watched = Watched(build.values(4), "score", probabilities, masks or {})
        path = Path("slides/a.svs")
        return Watch(path, "run-1", ("normal", "tumour"), epochs=((3, watched),), **fields)

    def test_only_slides_can_be_watched(self):
        assert snapshot().watch.visible
        assert not snapshot(build.cohort(FEATURES)).watch.visible

    def test_open_slides_and_those_of_the_cohort_can_be_watched(self):
        cohort = build.cohort(n=2)
        bags = snapshot(cohort, build.slide_subject(), build.images_subject(2)).watch.bags
        assert texts(bags) == ["none", "a.svs", "case0_0.svs (normal)", "case0_1.svs (tumour)"]

    def test_the_watched_bag_cannot_be_changed_while_a_run_is_under_way(self):
        assert snapshot(phase=Phase.RUNNING).watch.bags.reason.startswith("Training runs")

    def test_an_overlay_is_announced_before_the_first_epoch(self):
        watch = Watch(Path("a.svs"), "run-1", ())
        assert snapshot(watch=watch).watch.facts == "Its overlay comes with the first epoch."

    def test_an_epoch_says_what_the_model_thought_of_the_bag(self):
        seen = snapshot(watch=self.watch(shown=3, part="validation")).watch
        assert seen.facts == "a validation bag · normal 0.25, tumour 0.75"
        assert (seen.first, seen.last, seen.shown) == (3, 3, 3)

    def test_masks_of_an_epoch_are_counted(self):
        watch = self.watch(build.mined(4, ("high", "low")), shown=3, part="not in the cohort")
        seen = snapshot(watch=watch).watch
        assert seen.facts.endswith(" · 2 of 4 tiles masked")
        assert [(name, n) for name, _, n in seen.masks] == [("high", 1), ("low", 1)]

    def test_masks_are_compared_with_those_of_the_epoch_before(self):
        watch = self.watch(build.mined(4, ("high", "low")))
        later = Watched(
            build.values(4), "score", np.array([0.25, 0.75], np.float32), {"high": np.arange(4) > 0}
        )
        seen = snapshot(watch=watch.with_epoch(4, later)).watch
        assert seen.facts.endswith(
            " · 3 of 4 tiles masked"
            " · 33 % of the masked and 100 % of the top tenth as in the epoch before"
        )


class TestRegions:
    def test_shapes_become_regions_of_a_class_of_the_cohort(self):
        regions = snapshot(build.cohort(), build.slide_subject()).regions
        assert "drawn over a.svs" in regions.line
        assert regions.classes.current == "tumour"

    def test_regions_are_for_slides_and_not_during_a_run(self):
        assert not snapshot(build.cohort(FEATURES)).regions.visible
        assert not snapshot(phase=Phase.RUNNING).regions.visible


class TestResult:
    def result(self, **fields):
        facts = TrainingFacts(epoch_kept=7, epochs_trained=10)
        card = build.card(training=facts, evaluation={"headline": "AUC 0.97"}, **fields)
        return Result(card, Path("run-1/classifier"))

    def test_a_result_says_its_epoch_and_how_good_it_is(self):
        result = snapshot(phase=Phase.DONE, result=self.result()).result
        assert (result.name, result.line) == ("malignancy", "epoch 7 of 10 · AUC 0.97")

    def test_a_result_says_what_few_patients_leave_open(self):
        result = self.result()
        evaluation = {"headline": "AUC 0.97", "few patients": ["b has only 3 patients. …"]}
        result = replace(result, card=replace(result.card, evaluation=evaluation))
        line = snapshot(phase=Phase.DONE, result=result).result.line
        assert line.endswith("AUC 0.97\nb has only 3 patients. …")

    def test_a_result_goes_by_the_name_under_which_it_was_installed(self):
        installed = replace(self.result(), installed="malignancy-2")
        assert snapshot(phase=Phase.DONE, result=installed).result.name == "malignancy-2"

    def test_what_takes_no_slides_is_used_on_the_first_bag(self):
        result = self.result(instances=IMAGES)
        tip = snapshot(phase=Phase.DONE, result=result).result.use_tip
        assert tip.startswith("It takes folders of images")

    def test_there_is_no_result_while_a_run_is_under_way(self):
        assert snapshot(phase=Phase.RUNNING, result=self.result()).result.name == ""
