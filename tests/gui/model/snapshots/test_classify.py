"""What the Classify tab shows."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum

import pytest

from napari_mil.gui.model import actions
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.classify import BY_SCALE, NOTHING_OPEN, classify_snapshot
from napari_mil.gui.model.subjects import TissueChoice
from napari_mil.inference.card import IMAGES, SHIPPED
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade", classes=("low", "middle", "high"), link="softmax")
POLYPS = build.card("polyps", instances=IMAGES)


@pytest.fixture
def state():
    return build.state_of(build.slide_subject(), cards=(MALIGNANCY, GRADE, POLYPS))


@pytest.fixture
def answered(state):
    return build.answered(state, build.answer(state.current_subject, MALIGNANCY))


class TestCard:
    def test_a_card_names_its_slide_and_its_classifier(self, answered):
        card = classify_snapshot(answered).card
        assert card.about == "a.svs · malignancy"
        assert card.title == answered.shown_answer.prediction.label

    def test_a_card_keeps_the_name_of_the_classifier_that_answered(self, answered):
        state = actions.choose_classifier(answered, "grade")
        assert state.classifier == "grade"
        assert classify_snapshot(state).card.classifier == "malignancy"

    def test_another_slide_has_no_card_until_it_is_classified(self, answered):
        state = actions.add_subject(answered, build.slide_subject(2, "b.svs"))
        assert classify_snapshot(state).card is None
        assert classify_snapshot(actions.choose_subject(state, 1)).card is not None

    def test_every_class_has_a_bar_and_the_predicted_one_is_marked(self, answered):
        state = build.answered(answered, build.answer(answered.current_subject, GRADE))
        bars = classify_snapshot(state).card.probabilities
        assert [name for name, _, _ in bars] == ["low", "middle", "high"]
        assert sum(p for _, p, _ in bars) == pytest.approx(1, abs=1e-6)
        assert [name for name, _, predicted in bars if predicted] == ["high"]

    def test_an_answer_of_no_class_says_so(self, answered):
        said = answered.shown_answer
        none = replace(said, prediction=replace(said.prediction, labels=()))
        state = replace(answered, answers=(none,))
        assert classify_snapshot(state).card.title == "none of the classes"

    def test_facts_stand_in_one_line(self, answered):
        facts = classify_snapshot(answered).card.facts
        assert facts == "not calibrated · 6 tiles · 1.5 s on cpu"

    def test_a_calibrated_classifier_says_how_good_it_is(self, state):
        card = build.card(temperature=1.5, evaluation={"headline": "AUC 0.97"})
        state = build.answered(state, build.answer(state.current_subject, card))
        facts = classify_snapshot(state).card.facts
        assert facts.startswith("calibrated · ")
        assert facts.endswith(" · AUC 0.97")

    def test_what_is_less_certain_than_it_looks_stands_on_the_card(self, state):
        remarks = ("Patients are unknown.", "One tile only.")
        answer = build.answer(state.current_subject, MALIGNANCY, remarks=remarks)
        assert classify_snapshot(build.answered(state, answer)).card.remarks == remarks

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda s: actions.choose_classifier(s, "grade"), "grade is chosen now"),
            (lambda s: actions.set_level(s, 0), "the tiles are others"),
            (lambda s: actions.set_slide(s, 1, build.FakeSlide().at(1.0)), "the scale is another"),
            (
                lambda s: actions.set_tissue(s, 1, build.mask(), painted=True),
                "the tissue is another",
            ),
        ],
    )
    def test_a_card_is_stale_as_soon_as_what_it_was_made_from_changes(
        self, answered, change, words
    ):
        assert classify_snapshot(answered).card.stale == ""
        assert classify_snapshot(change(answered)).card.stale == f"Out of date: {words}."

    def test_a_stale_card_can_be_renewed_at_once(self, answered):
        snapshot = classify_snapshot(actions.set_level(answered, 0))
        assert snapshot.card.stale
        assert (snapshot.reason, snapshot.running) == ("", False)

    def test_a_card_makes_room_for_the_run_about_its_slide_only(self, answered):
        run = build.run(answered.current_subject, GRADE)
        state = actions.start_run(answered, run)
        assert classify_snapshot(state).card is None
        elsewhere = actions.add_subject(state, build.slide_subject(2, "b.svs"))
        elsewhere = build.answered(elsewhere, build.answer(elsewhere.current_subject, MALIGNANCY))
        assert classify_snapshot(elsewhere).card.about == "b.svs · malignancy"


class TestChoices:
    def test_with_nothing_open_it_says_what_to_do(self):
        assert classify_snapshot(SessionState()).reason == NOTHING_OPEN

    def test_without_a_classifier_it_says_what_to_do(self):
        state = build.state_of(build.slide_subject(), cards=())
        assert classify_snapshot(state).reason == "Choose a classifier first."

    def test_classifiers_that_do_not_fit_come_last_and_say_why(self):
        state = build.state_of(build.slide_subject(), cards=(POLYPS, MALIGNANCY))
        entries = classify_snapshot(state).classifiers.entries
        assert [entry.key for entry in entries] == ["malignancy", "polyps"]
        assert entries[0].reason == ""
        assert "not slides" in entries[1].reason

    def test_classifiers_say_whose_they_are(self, state, tmp_path):
        cards = (
            build.card("shipped", folder=SHIPPED / "shipped"),
            build.card("own"),
            build.card("published", checkpoint=tmp_path),
        )
        entries = classify_snapshot(replace(state, cards=cards)).classifiers.entries
        assert [entry.text for entry in entries] == [
            "shipped",
            "own · mine",
            "published · checkpoint",
        ]

    def test_the_layer_is_offered_as_tissue_once_it_is_there(self, state):
        def keys(state):
            return [entry.key for entry in classify_snapshot(state).tissue.entries]

        assert keys(state) == [TissueChoice.DETECT, TissueChoice.WHOLE]
        state = actions.set_tissue(state, 1, build.mask(), painted=False)
        assert keys(state) == [TissueChoice.DETECT, TissueChoice.LAYER, TissueChoice.WHOLE]

    def test_a_bag_has_no_tissue_to_choose(self):
        tissue = classify_snapshot(build.state_of(build.images_subject())).tissue
        assert tissue.reason == "Every instance of a bag counts."

    def test_tiles_go_by_scale_or_by_a_level_of_the_slide(self, state):
        tiles = classify_snapshot(actions.set_level(state, 1)).tiles
        assert [entry.key for entry in tiles.entries] == [BY_SCALE, 0, 1]
        assert tiles.current == 1
        assert tiles.entries[2].text == "256 px of level 1"

    def test_images_are_no_tiles(self):
        state = build.state_of(build.images_subject(), cards=(POLYPS,))
        assert len(classify_snapshot(state).tiles.entries) == 1


class TestRun:
    def progress(self, state, **known):
        run = build.run(state.current_subject, MALIGNANCY, **known)
        return classify_snapshot(actions.start_run(state, run))

    def test_before_tiles_are_counted_the_phase_is_told(self, state):
        snapshot = self.progress(state)
        assert (snapshot.running, snapshot.total, snapshot.progress) == (True, 0, "Opening…")

    def test_a_run_says_how_far_how_fast_and_how_long(self, state):
        snapshot = self.progress(state, total=40, done=10, rate=5.2, eta=6.0)
        assert snapshot.progress == "10 of 40 tiles · 5 tiles/s · 6 s left"

    def test_a_run_about_another_slide_names_it(self, state):
        run = build.run(state.current_subject, MALIGNANCY, total=40)
        state = actions.start_run(state, run)
        state = actions.add_subject(state, build.slide_subject(2, "b.svs"))
        assert classify_snapshot(state).progress == "a.svs: 0 of 40 tiles"

    def test_a_run_that_came_to_nothing_says_why(self, state):
        state = actions.start_run(state, build.run(state.current_subject, MALIGNANCY))
        state = actions.end_run(state, 100, "a.svs has no tissue.")
        assert classify_snapshot(state).message == "a.svs has no tissue."

    def test_a_run_that_is_being_cancelled_says_so(self, state):
        assert self.progress(state, cancelling=True).cancelling


def texts(value):
    """Return every text of a snapshot."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return [value]
    if is_dataclass(value):
        return [text for f in fields(value) for text in texts(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [text for part in value for text in texts(part)]
    return []


def test_there_are_no_words_of_the_command_line(answered):
    for card in (*answered.cards, build.card("own", in_dim=3)):
        for subject in (
            build.slide_subject(),
            build.slide_subject(mpp=None),
            build.images_subject(),
            build.features_subject(),
            build.fluorescence_subject(),
        ):
            state = build.state_of(subject, cards=(card,))
            said = texts(classify_snapshot(state))
            assert said
            assert not [text for text in said if "--" in text]
