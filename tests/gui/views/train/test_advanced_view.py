"""The rows below the fold: which are seen, which can be changed, what they tell."""

import pytest

from napari_mil.gui.model.snapshots.train import SetupSnapshot
from napari_mil.gui.model.training_form import ENTRIES, Form, shown_rows
from napari_mil.gui.views.train.advanced_view import AdvancedView


@pytest.fixture
def view(qtbot):
    made = AdvancedView()
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def told(view):
    heard = []
    view.changed.connect(lambda name, value: heard.append((name, value)))
    return heard


def show(view, form, settled=()):
    view.render(SetupSnapshot(form=form, rows=shown_rows(form), settled=tuple(settled)))


def visible(view):
    return tuple(name for name in ENTRIES if view[name].native.isVisible())


@pytest.mark.parametrize(
    ("form", "seen", "unseen"),
    [
        (Form(), (), ("high", "low", "random", "consistency", "momentum", "alternate_streams")),
        (Form(aggregator="dsmil"), ("alternate_streams",), ("high",)),
        (
            Form(aggregator="dsmil", strategy="ham"),
            ("high", "consistency"),
            ("alternate_streams", "low", "random"),
        ),
        (Form(strategy="r-ham"), ("high", "random", "consistency", "momentum"), ("low",)),
        (Form(strategy="lr-ham"), ("high", "low", "random"), ()),
    ],
)
def test_only_the_rows_that_the_method_has_are_seen(view, form, seen, unseen):
    show(view, form)
    assert visible(view) == shown_rows(form)
    assert set(seen) <= set(visible(view))
    assert not set(unseen) & set(visible(view))


def test_a_row_tells_its_name_and_its_value_as_it_is_written(view, told):
    show(view, Form())
    view["patience"].value = "2,5"
    view["class_balance"].value = "weights"
    view["seed"].value = 7
    assert told == [("patience", "2,5"), ("class_balance", "weights"), ("seed", 7)]


def test_what_was_entered_is_shown_without_telling_it_again(view, told):
    form = Form().with_advanced("weight_decay", "0.5").with_advanced("validation", 0.3)
    show(view, form)
    assert view["weight_decay"].value == "0.5"
    assert view["validation"].value == pytest.approx(0.3)
    show(view, Form())
    assert view["weight_decay"].value == ""
    assert view["validation"].value == pytest.approx(0.2)
    assert told == []


def test_a_settled_row_cannot_be_changed_and_says_why(view):
    show(view, Form(), [("tile_px", "The files hold features already.")])
    assert not view["tile_px"].enabled
    assert view["tile_px"].native.toolTip() == "The files hold features already."
    show(view, Form())
    assert view["tile_px"].enabled
    assert view["tile_px"].native.toolTip() == ""


def test_an_empty_row_says_what_decides(view):
    assert view["patience"].native.placeholderText() == "by the recipe"
    assert view["high"].native.placeholderText() == "as published"


def test_every_row_is_called_what_a_person_reads(view):
    for name, entry in ENTRIES.items():
        assert view[name].native.accessibleName() == entry.label
