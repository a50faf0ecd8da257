"""The form of a run: what is seen of it, and the whole form that it tells."""

from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.train import train_snapshot
from napari_mil.gui.model.training import Training
from napari_mil.gui.model.training_form import Form
from napari_mil.gui.views.train.setup_view import SetupView
from napari_mil.inference.library import list_classifiers
from tests.gui.training import slides


@pytest.fixture
def view(qtbot):
    made = SetupView()
    qtbot.addWidget(made)
    made.show()
    made.forms = []
    made.form_changed.connect(made.forms.append)
    return made


def show(view, form=Form(), cohort=None, **training):  # noqa: B008 - it cannot be changed
    training = Training(
        form=form, cohort=cohort or slides(Path("slides")), out=Path("runs/mine"), **training
    )
    state = SessionState(cards=tuple(list_classifiers().values()), training=training)
    view.render(train_snapshot(state).setup)


def label_of(view, widget):
    return view._form_layout.labelForField(widget)


def test_the_form_is_seen_once_there_is_something_to_train_on(view):
    show(view)
    assert view.isVisible()
    show(view, trouble="one holds one class only")
    assert not view.isVisible()


def test_numbers_of_the_recipe_stand_where_nothing_was_entered(view):
    show(view, Form(aggregator="transmil", advanced={"recipe": "published"}))
    assert view.epochs_box.value() == 200
    assert view.rate_edit.text() == "0.0002"
    assert "Shao" in view.recipe.text()
    show(view, Form(aggregator="transmil", epochs=7, learning_rate="0,5"))
    assert view.epochs_box.value() == 7
    assert view.rate_edit.text() == "0,5"
    assert view.forms == [], "what is rendered is not told"


def test_another_method_leaves_the_numbers_of_a_person(view):
    form = Form(epochs=7, advanced={"patience": "9", "seed": 3})
    show(view, form)
    view.aggregator_box.choose("dsmil-released")
    (told,) = view.forms
    assert told.aggregator == "dsmil-released"
    assert told.epochs == 7
    assert told.advanced == {"seed": 3}, "its recipe decides about patience again"


def test_what_a_person_enters_is_told_as_a_whole_form(view, qtbot):
    form = Form(epochs=7)
    show(view, form)
    view.strategy_box.choose("r-ham")
    view.epochs_box.setValue(9)
    view.folds_box.choose(5)
    view.positive_box.choose("left")
    view.encoder_box.choose("lenet5")
    view.rate_edit.clear()
    qtbot.keyClicks(view.rate_edit, "3")
    view.advanced["seed"].value = 5
    assert view.forms == [
        Form(epochs=7, strategy="r-ham"),
        Form(epochs=9),
        Form(epochs=7, folds=5),
        Form(epochs=7, positive_class="left"),
        Form(epochs=7, encoder="lenet5"),
        Form(epochs=7, learning_rate="3"),
        Form(epochs=7, advanced={"seed": 5}),
    ]


def test_a_start_is_told_by_its_name(view, qtbot):
    show(view)
    with qtbot.waitSignal(view.start_chosen, timeout=1000) as told:
        view.start_box.choose("breast-malignancy")
    assert told.args == ["breast-malignancy"]
    assert view.forms == []


def test_the_scale_is_asked_for_where_slides_do_not_say_it(view, qtbot):
    show(view)
    assert not view.scale_edit.isVisible()
    assert not label_of(view, view.scale_edit).isVisible()
    show(view, cohort=slides(Path("slides"), mpp=None))
    assert view.scale_edit.isVisible()
    assert label_of(view, view.scale_edit).isVisible()
    qtbot.keyClicks(view.scale_edit, "2")
    assert view.forms[-1].slide_mpp == "2"


def test_a_pattern_is_told_once_it_is_written(view, qtbot):
    show(view)
    assert view.patients_edit.isVisible()
    qtbot.keyClicks(view.patients_edit, "[^_]+")
    assert view.forms == [], "half a pattern is none"
    qtbot.keyClick(view.patients_edit, Qt.Key.Key_Return)
    assert [form.patient_pattern for form in view.forms] == ["[^_]+"]


def test_typing_is_not_disturbed_by_what_comes_back(view, qtbot):
    show(view)
    view.activateWindow()
    view.rate_edit.setFocus()
    qtbot.waitUntil(view.rate_edit.hasFocus)
    view.rate_edit.clear()
    qtbot.keyClicks(view.rate_edit, "0.")
    show(view, Form(learning_rate=""))
    assert view.rate_edit.text() == "0."


def test_a_method_that_cannot_be_mined_says_why(view):
    show(view, Form(aggregator="hamil"))
    assert not view.strategy_box.isEnabled()
    assert view.strategy_box.toolTip()
    show(view, Form(aggregator="dsmil"))
    assert view.strategy_box.isEnabled()
    assert view.strategy_box.toolTip() == ""


def test_the_fold_counts_what_was_changed_and_opens_where_a_number_is_wrong(view):
    show(view)
    assert view.fold.text() == "Advanced"
    assert not view.fold.isExpanded()
    show(view, Form(advanced={"patience": "soon", "seed": 3}), wrong_row="patience")
    assert view.fold.text() == "Advanced (2 changed)"
    assert view.fold.isExpanded()
    assert view.advanced["patience"].native.isVisible()


def test_the_run_folder_is_seen_and_can_be_changed(view, qtbot):
    show(view)
    assert view.out_label.toolTip() == str(Path("runs/mine"))
    with qtbot.waitSignal(view.out_requested, timeout=1000):
        view.out_button.click()


def test_of_more_than_two_classes_none_is_positive(view):
    show(view, cohort=replace(slides(Path("slides")), classes=("left", "middle", "right")))
    assert not view.positive_box.isVisible()
    show(view)
    assert view.positive_box.isVisible()
    assert view.positive_box.key == "right"
