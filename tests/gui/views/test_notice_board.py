"""Refusals stay, whole, until they are closed."""

import pytest
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_mil.gui.model.subjects import Notice
from napari_mil.gui.views.notice_board import SHOWN, NoticeBoard


@pytest.fixture
def board(qtbot):
    made = NoticeBoard()
    qtbot.addWidget(made)
    made.show()
    return made


def notices(n):
    return tuple(Notice(k, f"Notice {k}.") for k in range(n))


def test_the_newest_notices_are_shown_first(board):
    board.render(notices(2), "")
    assert board.texts == ["Notice 1.", "Notice 0."]


def test_a_closed_notice_makes_room_for_an_older_one(board, qtbot):
    many = notices(SHOWN + 2)
    board.render(many, "")
    assert len(board.texts) == SHOWN
    assert board._cards[-1].close_button.toolTip() == "2 more follow"
    with qtbot.waitSignal(board.close_requested, timeout=1000) as told:
        board._cards[0].close_button.click()
    assert told.args == [SHOWN + 1]
    board.render(many[:-1], "")
    assert board.texts == [f"Notice {k}." for k in (3, 2, 1)]


def test_cards_are_kept_while_nothing_changes(board):
    board.render(notices(2), "")
    before = list(board._cards)
    board.render(notices(2), "Opening a.svs…")
    assert board._cards == before


def test_what_is_being_opened_is_said_and_can_be_stopped(board, qtbot):
    board.render((), "")
    assert not board._cancel.isVisible()
    board.render((), "Opening a.svs…")
    assert board._busy.text() == "Opening a.svs…"
    with qtbot.waitSignal(board.cancel_requested, timeout=1000):
        board._cancel.click()
    board.render((), "")
    assert not board._busy.isVisible()


@pytest.mark.parametrize(
    ("details", "copied"), [("", "What."), ("Traceback", "What.\n\nTraceback")]
)
def test_details_are_copied_with_the_sentence(board, details, copied):
    board.render((Notice(1, "What.", details),), "")
    (button,) = [
        each for each in board._cards[0].findChildren(QPushButton) if each.text() == "Copy details"
    ]
    button.click()
    assert QGuiApplication.clipboard().text() == copied
