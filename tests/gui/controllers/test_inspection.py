"""Trees and masks are asked for once and kept; the selection is followed by its picture."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from napari_mil.errors import NapariMilError
from napari_mil.exports.maps import ScaleMode
from napari_mil.gui.controllers import inspection as module
from napari_mil.gui.controllers.inspection import (
    CLOSEUP_JOB,
    INSPECT_JOB,
    InspectionController,
    missing_inquiry,
)
from napari_mil.gui.model import actions
from napari_mil.gui.model.answers import Linkage
from napari_mil.gui.model.display import Kind, Role
from napari_mil.gui.model.mining import Mining
from napari_mil.gui.model.session import Closeup, Session
from napari_mil.gui.model.snapshots.inspect import inspect_snapshot
from napari_mil.gui.views.evidence_card import EvidenceCard
from napari_mil.gui.views.inspect_tab import InspectTab, InstanceCard
from napari_mil.gui.views.mask_shares import ShareSliders
from napari_mil.settings import Settings
from tests.gui.model.builders import (
    answer,
    answered,
    card,
    evidence,
    features_subject,
    mined,
    state_of,
    tree,
)
from tests.gui.training import FakeJobs, emit, mock_book

CHOSEN = "r-ham"


class Heavy:
    """What would be computed with torch; counts the questions."""

    def __init__(self):
        self.trees = []
        self.masks = []
        self.error = None
        self.gathered = 0
        self.at_once = True

    def grow_tree(self, answer, linkage, settings, cancel):
        cancel.raise_if_cancelled()
        self.trees.append(linkage)
        if self.error is not None:
            raise self.error
        return tree(len(answer.layout))

    def ask_masks(self, answer, mining, settings, cancel):
        cancel.raise_if_cancelled()
        self.masks.append(mining)
        return mined(len(answer.layout))

    def gather(self, answer, settings, cancel):
        cancel.raise_if_cancelled()
        self.gathered += 1
        if self.error is not None:
            raise self.error
        return evidence(len(answer.layout), at_once=self.at_once)


@pytest.fixture
def room(monkeypatch):
    subject = features_subject()
    made = SimpleNamespace(
        session=Session(answered(state_of(subject), answer(subject, card()))),
        view=MagicMock(spec=InspectTab),
        book=mock_book(),
        jobs=FakeJobs(),
        show_inspect=MagicMock(),
        heavy=Heavy(),
        subject=subject,
    )
    made.view.evidence = MagicMock(spec=EvidenceCard)
    made.view.instance = MagicMock(spec=InstanceCard)
    made.view.shares = MagicMock(spec=ShareSliders)
    monkeypatch.setattr(module, "import_module", lambda name: made.heavy)
    made.controller = InspectionController(
        made.session, made.view, made.book, made.jobs, Settings(), made.show_inspect
    )
    return made


def notices(room):
    return [notice.text for notice in room.session.state.notices]


def centre_of(room, instance):
    subject = room.subject
    return subject.placement.centres(subject.layout, np.array([instance]))[0]


def test_a_tree_is_asked_for_once_and_kept(room):
    emit(room.view.kind_chosen, "clusters")
    assert room.session.state.inquiry.linkage is Linkage.WARD
    room.jobs.run()
    assert room.session.state.inquiry is None
    assert set(room.session.state.shown_answer.trees) == {Linkage.WARD}
    emit(room.view.kind_chosen, "attention")
    emit(room.view.kind_chosen, "clusters")
    emit(room.view.clusters_chosen, 3)
    assert room.jobs.waiting == []
    assert room.heavy.trees == [Linkage.WARD]
    assert room.session.state.display.n_clusters == 3


def test_masks_are_asked_for_once_by_strategy(room):
    emit(room.view.kind_chosen, "masks")
    room.jobs.run()
    emit(room.view.strategy_chosen, CHOSEN)
    room.jobs.run()
    emit(room.view.strategy_chosen, room.heavy.masks[0].strategy)
    room.jobs.run()
    assert len(room.heavy.masks) == 2
    assert room.heavy.masks[1] == Mining(CHOSEN)
    assert set(room.session.state.shown_answer.masks) == set(room.heavy.masks)


def test_masks_of_other_shares_are_asked_for_and_those_of_before_kept(room):
    emit(room.view.kind_chosen, "masks")
    room.jobs.run()
    emit(room.view.shares.share_chosen, "high", 0.2)
    assert room.session.state.inquiry.mining.ratios.high == 0.2
    room.jobs.run()
    emit(room.view.shares.published_requested)
    assert room.jobs.waiting == [], "the published ones are there"
    assert [mining.ratios is None for mining in room.heavy.masks] == [True, False]
    assert set(room.session.state.shown_answer.masks) == set(room.heavy.masks)


def test_another_question_replaces_the_one_that_runs(room):
    emit(room.view.kind_chosen, "clusters")
    first = room.jobs.current(INSPECT_JOB)
    emit(room.view.linkage_chosen, Linkage.SINGLE)
    assert first.token.cancelled
    room.jobs.run()
    assert room.heavy.trees == [Linkage.SINGLE]
    assert set(room.session.state.shown_answer.trees) == {Linkage.SINGLE}
    assert room.session.state.display.kind is Kind.CLUSTERS, "the old one's end changes nothing"


def test_the_answer_to_an_old_question_changes_nothing(room):
    emit(room.view.kind_chosen, "clusters")
    first = room.jobs.current(INSPECT_JOB)
    emit(room.view.linkage_chosen, Linkage.SINGLE)
    first.succeeded.emit(tree(6))
    assert room.session.state.inquiry.linkage is Linkage.SINGLE
    assert room.session.state.shown_answer.trees == {}


def test_a_question_that_fails_is_a_notice_and_the_first_map_is_shown(room):
    room.heavy.error = NapariMilError("The features are gone.")
    emit(room.view.kind_chosen, "clusters")
    room.jobs.run()
    assert notices(room) == ["The features are gone."]
    assert room.session.state.display.kind is None
    assert room.session.state.inquiry is None
    assert room.jobs.waiting == [], "it is not asked again"


def test_cancelling_goes_back_to_the_first_map(room):
    emit(room.view.kind_chosen, "clusters")
    emit(room.view.cancel_requested)
    room.jobs.run()
    assert room.session.state.display.kind is None
    assert room.session.state.inquiry is None
    assert room.heavy.trees == []


def test_work_on_a_subject_that_was_closed_is_cancelled(room):
    emit(room.view.kind_chosen, "clusters")
    job = room.jobs.current(INSPECT_JOB)
    room.session.apply(actions.close_subject, room.subject.key)
    assert job.token.cancelled


def test_nothing_is_asked_where_there_is_no_answer():
    state = actions.choose_kind(state_of(features_subject()), Kind.CLUSTERS)
    assert missing_inquiry(state) is None


def test_a_method_that_cannot_be_mined_is_not_asked_for_masks():
    subject = features_subject()
    hamil = card(aggregator="hamil")
    state = answered(state_of(subject, cards=[hamil]), answer(subject, hamil))
    assert missing_inquiry(actions.choose_kind(state, Kind.MASKS)) is None
    assert missing_inquiry(actions.choose_kind(state, Kind.CLUSTERS)) is not None


def test_a_single_instance_has_no_clusters():
    subject = features_subject(n=1)
    state = answered(state_of(subject), answer(subject, card()))
    assert missing_inquiry(actions.choose_kind(state, Kind.CLUSTERS)) is None


def test_a_click_selects_what_lies_under_it_and_beside_it_nothing(room):
    y, x = centre_of(room, 4)
    emit(room.book.clicked, (y, x))
    assert room.session.state.selection.instances == (4,)
    room.show_inspect.assert_called_once_with()
    emit(room.book.clicked, (-1e6, -1e6))
    assert room.session.state.selection is None
    room.show_inspect.assert_called_once_with()


def test_with_shift_a_click_adds_what_lies_under_it_and_takes_it_out_again(room):
    emit(room.book.clicked, tuple(centre_of(room, 1)))
    emit(room.book.added, tuple(centre_of(room, 3)))
    assert room.session.state.selection.instances == (1, 3)
    emit(room.book.added, tuple(centre_of(room, 1)))
    assert room.session.state.selection.instances == (3,)
    emit(room.book.added, (-1e6, -1e6))
    assert room.session.state.selection.instances == (3,)


def test_a_box_selects_the_instances_whose_centres_it_holds(room):
    n = len(room.subject.layout)
    centres = np.array([centre_of(room, instance) for instance in range(n)])
    start, end = centres[0] - 0.1, (centres[0] + centres[-1]) / 2
    within = ((centres >= start) & (centres <= end)).all(1)
    emit(room.book.boxed, tuple(end), tuple(start))
    assert room.session.state.selection.instances == tuple(np.flatnonzero(within))
    emit(room.book.boxed, (-2e6, -2e6), (-1e6, -1e6))
    assert room.session.state.selection is None


def test_a_click_with_nothing_open_is_nothing(room):
    room.session.apply(actions.close_subject, room.subject.key)
    before = room.session.state
    emit(room.book.clicked, (0.0, 0.0))
    assert room.session.state is before


def test_steps_go_down_the_ranks_and_the_view_follows(room):
    order = np.argsort(-room.session.state.values)
    emit(room.view.step_requested, 1)
    emit(room.view.step_requested, 1)
    assert room.session.state.selection.instance == order[1]
    assert room.book.camera.look_at.call_args.args[0] == tuple(centre_of(room, int(order[1])))
    emit(room.view.clear_requested)
    assert room.session.state.selection is None


def test_without_a_selection_the_view_stays(room):
    room.controller.show_selected()
    room.book.camera.look_at.assert_not_called()


def test_selecting_reads_the_instance_once(room, monkeypatch):
    pixels = np.zeros((4, 4, 3), np.uint8)
    monkeypatch.setattr(
        module,
        "read_closeup",
        lambda subject, layout, instance, features: Closeup(subject.key, instance, pixels),
    )
    room.session.apply(actions.select, (2,))
    emit(room.view.scale_chosen, ScaleMode.RANK)
    assert len(room.jobs.waiting) == 1
    room.jobs.run()
    closeup = room.session.state.closeup
    assert (closeup.subject, closeup.instance) == (room.subject.key, 2)
    assert closeup.pixels is pixels


def test_what_was_read_of_an_earlier_selection_is_not_shown(room):
    room.session.apply(actions.select, (2,))
    first = room.jobs.current(CLOSEUP_JOB)
    room.session.apply(actions.select, (3,))
    assert first.token.cancelled
    room.jobs.run()
    assert room.session.state.closeup.instance == 3


def test_features_without_a_slide_have_no_picture(room):
    room.session.apply(actions.select, (2,))
    room.jobs.run()
    assert room.session.state.closeup.pixels is None
    assert not inspect_snapshot(room.session.state).instance.has_pixels


def test_an_instance_that_is_alike_is_selected_and_brought_into_view(room):
    emit(room.view.instance.instance_chosen, 3)
    assert room.session.state.selection.instances == (3,)
    room.book.camera.look_at.assert_called_once_with(tuple(centre_of(room, 3)))


def test_opacity_and_visibility_are_kept_as_looks(room):
    emit(room.view.opacity_chosen, 0.25)
    emit(room.view.visibility_chosen, False)
    look = room.session.state.display.look(Role.OVERLAY)
    assert (look.opacity, look.visible) == (0.25, False)
    emit(room.view.visibility_chosen, False)
    assert room.session.state.display.look(Role.OVERLAY).visible is False
    emit(room.view.visibility_chosen, True)
    assert room.session.state.display.look(Role.OVERLAY).visible is True


def test_the_class_that_was_chosen_is_coloured(room):
    emit(room.view.kind_chosen, "score")
    emit(room.view.name_chosen, "tumour")
    assert room.session.state.column.key == "score_tumour"


def shown(room):
    return inspect_snapshot(room.session.state).evidence


def test_what_counts_is_asked_for_once_and_shown(room):
    assert shown(room).visible
    assert not shown(room).is_asked
    emit(room.view.evidence.ask_requested)
    room.jobs.run()
    state = room.session.state
    assert state.column.key == "contribution_tumour"
    assert {"alone_tumour", "contribution_tumour"} <= set(state.shown_answer.prediction.columns())
    assert shown(room).sufficient == "2 instances of 6 give the same answer: tumour."
    contribution, reference = shown(room).curves
    assert (contribution.name, contribution.area, contribution.is_reference) == (
        "contribution",
        0.25,
        False,
    )
    assert (reference.name, reference.area, reference.is_reference) == ("random order", 0.75, True)
    assert contribution.shares[0] == 0
    assert contribution.probabilities[0] == 1
    assert shown(room).curves is shown(room).curves
    emit(room.view.kind_chosen, "attention")
    emit(room.view.kind_chosen, "alone")
    assert room.jobs.waiting == []
    assert room.heavy.gathered == 1
    assert state.shown_answer.card.classes == ("normal", "tumour")


def test_what_suffices_is_selected_the_first_of_it_shown_by_itself(room):
    emit(room.view.evidence.ask_requested)
    room.jobs.run()
    emit(room.view.evidence.sufficient_requested)
    assert room.session.state.selection.instances == (4, 5)
    assert room.session.state.selection.instance == 5


@pytest.mark.parametrize("at_once", [True, False])
def test_selected_instances_are_dropped_and_put_back(room, at_once):
    room.heavy.at_once = at_once
    before = float(room.session.state.shown_answer.prediction.probabilities[1])
    room.session.apply(actions.select, (0, 1))
    assert shown(room).can_change
    emit(room.view.evidence.drop_requested)
    assert shown(room).what_if.endswith("…")
    room.jobs.run()
    assert shown(room).what_if == f"Without 2 of 6 instances: tumour {before:.2f} → 0.67"
    emit(room.view.evidence.undo_requested)
    assert shown(room).what_if == ""
    assert shown(room).can_redo
    emit(room.view.evidence.redo_requested)
    room.jobs.run()
    assert shown(room).what_if.endswith("→ 0.67")
    emit(room.view.evidence.keep_requested)
    room.jobs.run()
    assert "Without 4 of 6 instances" in shown(room).what_if
    assert shown(room).what_if.endswith("→ 0.33")
    assert room.heavy.gathered == 1


def test_a_question_that_fails_is_said_and_the_first_map_is_shown(room):
    room.heavy.error = NapariMilError("Its classifier has changed; classify again.")
    emit(room.view.evidence.ask_requested)
    room.jobs.run()
    assert notices(room) == ["Its classifier has changed; classify again."]
    assert room.session.state.display.kind is None
