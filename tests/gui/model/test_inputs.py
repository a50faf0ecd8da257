"""What changed since an answer was made."""

from napari_mil.gui.model import actions
from napari_mil.gui.model.inputs import stale_reasons
from napari_mil.gui.model.subjects import TissueChoice
from tests.gui.model import builders as build

MALIGNANCY = build.card()
GRADE = build.card("grade")


def answered_slide(*cards, layout=None, critical=False):
    """Return a state with one slide that every one of some classifiers has answered about."""
    slide = build.slide_subject()
    state = build.state_of(slide)
    answers = [build.answer(slide, card, layout=layout, critical=critical) for card in cards]
    return build.answered(state, *answers)


class TestStale:
    def stale(self, change):
        state = answered_slide(MALIGNANCY)
        changed = change(state)
        return stale_reasons(changed, changed.shown_answer)

    def test_an_answer_holds_while_nothing_changes(self):
        assert self.stale(lambda state: state) == ()

    def test_another_classifier_makes_the_card_stale(self):
        reasons = self.stale(lambda state: actions.choose_classifier(state, "grade"))
        assert reasons == ("grade is chosen now",)

    def test_another_classifier_of_the_same_name_makes_the_card_stale(self):
        new = build.card(temperature=2.0)
        assert self.stale(lambda state: actions.add_card(state, new)) == (
            "the classifier was replaced",
        )

    def test_painting_tissue_makes_the_card_stale(self):
        reasons = self.stale(lambda state: actions.set_tissue(state, 1, build.mask(), painted=True))
        assert reasons == ("the tissue is another",)

    def test_the_whole_image_instead_of_tissue_makes_the_card_stale(self):
        reasons = self.stale(lambda state: actions.set_tissue_choice(state, TissueChoice.WHOLE))
        assert reasons == ("the tissue is another",)

    def test_other_tiles_make_the_card_stale(self):
        assert self.stale(lambda state: actions.set_level(state, 1)) == ("the tiles are others",)

    def test_choosing_everything_as_it_was_renews_the_card(self):
        def there_and_back(state):
            state = actions.set_level(actions.choose_classifier(state, "grade"), 1)
            return actions.choose_classifier(actions.set_level(state, None), "malignancy")

        assert self.stale(there_and_back) == ()

    def test_tissue_that_came_after_a_removed_one_is_not_taken_for_it(self):
        state = build.state_of(build.slide_subject())
        state = actions.set_tissue(state, 1, build.mask(0.2), painted=False)
        state = build.answered(state, build.answer(state.current_subject, MALIGNANCY))
        state = actions.remove_tissue(state, 1)
        state = actions.set_tissue(state, 1, build.mask(0.9), painted=False)
        assert stale_reasons(state, state.shown_answer) == ("the tissue is another",)

    def test_an_answer_made_from_the_tissue_that_its_run_detected_holds(self):
        state = build.state_of(build.slide_subject())
        state = actions.start_run(state, build.run(state.current_subject, MALIGNANCY))
        mask = build.mask()
        state = actions.keep_detected_tissue(state, 100, mask)
        answer = build.answer(state.current_subject, MALIGNANCY, inputs=state.run.inputs)
        state = actions.finish_run(state, 100, answer)
        assert state.current_subject.tissue.mask is mask
        assert stale_reasons(state, answer) == ()
