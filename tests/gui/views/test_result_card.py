"""The answer in words, numbers and bars."""

from dataclasses import replace

import pytest
from qtpy.QtWidgets import QApplication, QLabel

from napari_mil.gui.model.snapshots.classify import CardSnapshot
from napari_mil.gui.views.result_card import ResultCard
from napari_mil.gui.views.widgets import ProbabilityBar

ANSWER = CardSnapshot(
    title="tumour",
    about="a.svs · malignancy",
    classifier="malignancy",
    probabilities=(("normal", 0.25, False), ("tumour", 0.75, True)),
    facts="not calibrated · 12 tiles",
    remarks=(),
    stale="",
)


@pytest.fixture
def card(qtbot):
    made = ResultCard()
    qtbot.addWidget(made)
    return made


def show(card, snapshot):
    card.render(snapshot)
    # A layout shows what is new in it with the next turn of the event loop.
    QApplication.processEvents()


def test_without_an_answer_there_is_no_card(card):
    show(card, ANSWER)
    assert card.isVisible()
    show(card, None)
    assert not card.isVisible()
    show(card, ANSWER)
    assert card.isVisible()


def test_class_numbers_and_facts_are_read_in_words(card):
    show(card, ANSWER)
    texts = card.texts
    for words in ("tumour", "a.svs · malignancy", "0.25", "0.75", "not calibrated · 12 tiles"):
        assert words in texts
    assert "Research use only" in texts


def test_bars_of_the_last_answer_are_gone(card, qtbot):
    show(card, ANSWER)
    others = tuple((f"grade {k}", 0.25, k == 1) for k in range(4))
    show(card, replace(ANSWER, probabilities=others))
    bars = [bar for bar in card.findChildren(ProbabilityBar) if not bar.isHidden()]
    assert [bar.accessibleName() for bar in bars] == ["probability 0.25"] * 4
    assert "normal" not in card.texts


def test_only_an_answer_that_is_out_of_date_can_be_renewed(card, qtbot):
    show(card, ANSWER)
    assert not card.renew_button.isVisible()
    show(card, replace(ANSWER, stale="Out of date: the scale is another."))
    assert "Out of date: the scale is another." in card.texts
    with qtbot.waitSignal(card.renew_requested, timeout=1000):
        card.renew_button.click()


def test_remarks_are_seen_one_a_line(card):
    show(card, replace(ANSWER, remarks=("The scale is assumed.", "The CPU was used.")))
    assert "The scale is assumed.\nThe CPU was used." in card.texts


def test_the_link_tells_the_classifier_that_answered(card, qtbot):
    show(card, ANSWER)
    show(card, replace(ANSWER, classifier="grade"))
    with qtbot.waitSignal(card.about_requested, timeout=1000) as told:
        card._link.linkActivated.emit("about")
    assert told.args == ["grade"]


def test_a_long_class_is_elided_and_whole_in_its_tooltip(card):
    name = "invasive lobular carcinoma of the breast, not otherwise specified"
    card.resize(280, 400)
    show(card, replace(ANSWER, probabilities=((name, 1.0, True),)))
    (label,) = [each for each in card.findChildren(QLabel) if each.toolTip() == name]
    assert label.minimumSizeHint().width() < 280
