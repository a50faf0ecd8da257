from hypothesis import given
from hypothesis import strategies as st

from napari_mil.gui.model.what_if import WhatIf

STEPS = st.lists(
    st.tuples(st.sampled_from(["drop", "keep_only", "undo", "redo"]), st.sets(st.integers(0, 5))),
    max_size=12,
)


@given(STEPS)
def test_any_steps_leave_an_instance_and_can_be_undone_and_redone(steps):
    what_if = WhatIf()
    for name, instances in steps:
        chosen = tuple(instances)
        if name in ("undo", "redo"):
            what_if = getattr(what_if, name)()
        elif chosen:
            what_if = getattr(what_if, name)(chosen, 6)
        assert len(what_if.removed) < 6
        assert what_if.removed == tuple(sorted(set(what_if.removed)))
        assert 0 <= what_if.at < len(what_if.steps)
    if what_if.can_undo:
        assert what_if.undo().redo().removed == what_if.removed
    while what_if.can_undo:
        what_if = what_if.undo()
    assert what_if.removed == ()


def test_a_new_step_forgets_those_that_were_undone():
    what_if = WhatIf().drop((1,), 4).drop((2,), 4).undo()
    assert what_if.can_redo
    again = what_if.drop((3,), 4)
    assert again.removed == (1, 3)
    assert not again.can_redo


def test_keeping_some_takes_everything_else_out():
    assert WhatIf().keep_only((2,), 4).removed == (0, 1, 3)
    assert WhatIf().drop((0, 1, 2, 3), 4).removed == (), "one has to stay"
