"""Actions on the adapting of the encoder."""

from napari_mil.gui.model import adapting as actions
from napari_mil.gui.model.adapting import Adapting
from napari_mil.gui.model.training import Phase


def test_a_run_counts_and_ends():
    state = actions.begin(Adapting(("earlier",)), "mine")
    state = actions.count(state, "epochs", 0, 4)
    state = actions.add_epoch(state, 2, 1.5)
    assert (state.phase, state.name, state.done, state.total) == (Phase.RUNNING, "mine", 2, 4)
    assert state.loss == 1.5
    state = actions.add_remark(state, "One slide is left out.")
    assert actions.stop(state).phase is Phase.STOPPING
    ended = actions.end(state, Phase.DONE, "Done.")
    assert (ended.phase, ended.message, ended.remarks) == (
        Phase.DONE,
        "Done.",
        ("One slide is left out.",),
    )
    assert ended.encoders == ("earlier",)


def test_other_slides_are_another_question():
    done = actions.end(actions.begin(Adapting(("a",)), "a"), Phase.DONE, "Done.")
    assert actions.set_unfinished(done, "") == Adapting(("a",))
    again = actions.set_unfinished(done, "b")
    assert (again.phase, again.name, again.message) == (Phase.INTERRUPTED, "b", "")


def test_the_list_of_encoders_changes_nothing_else():
    running = actions.begin(Adapting(), "a")
    assert actions.set_encoders(running, ["a", "b"]).phase is Phase.RUNNING
    assert actions.set_encoders(running, ["a", "b"]).encoders == ("a", "b")
