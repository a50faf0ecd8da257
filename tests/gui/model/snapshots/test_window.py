"""What stands around the tabs."""

from napari_mil.gui.model import actions
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.window import window_snapshot
from napari_mil.gui.model.training import want
from tests.gui.model import builders as build


def test_with_nothing_open_there_is_a_start_page_and_no_tab():
    snapshot = window_snapshot(SessionState())
    assert (snapshot.shows_tabs, snapshot.title, snapshot.busy) == (False, "", "")


def test_tabs_come_with_the_first_subject_or_with_a_training():
    assert window_snapshot(build.state_of(build.slide_subject())).shows_tabs
    assert window_snapshot(SessionState(training=want(SessionState().training))).shows_tabs


def test_the_title_is_the_name_of_what_is_shown():
    state = build.state_of(build.slide_subject(1, "a.svs"), build.slide_subject(2, "b.svs"))
    assert window_snapshot(state).title == "b.svs"
    assert window_snapshot(actions.choose_subject(state, 1)).title == "a.svs"


def test_what_is_being_opened_is_told():
    state = actions.start_opening(SessionState(), "a.svs")
    assert window_snapshot(state).busy == "Opening a.svs…"
    state = actions.start_opening(state, "b.svs")
    assert window_snapshot(state).busy == "Opening a.svs and 1 more…"


def test_a_refusal_stays_until_it_is_closed():
    state = actions.add_notice(SessionState(), "notes.txt cannot be opened.")
    state = actions.add_subject(state, build.slide_subject())
    (notice,) = window_snapshot(state).notices
    assert notice.text == "notes.txt cannot be opened."
    assert window_snapshot(actions.close_notice(state, notice.key)).notices == ()
