"""The Worklist tab shows rows and tells what a person does."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_mil.gui.model import worklist as actions
from napari_mil.gui.model.session import SessionState
from napari_mil.gui.model.snapshots.worklist import Column, StateWord, worklist_snapshot
from napari_mil.gui.model.worklist import Listing, Phase
from napari_mil.gui.views import worklist_table
from napari_mil.gui.views.worklist_tab import WorklistTab
from napari_mil.gui.views.worklist_table import PROGRESS_ROLE
from napari_mil.worklist.states import Found, ResultState
from tests.gui.model import builders as build
from tests.gui.model.worklists import done, listing, looked

STALE = replace(done("b"), state=ResultState.STALE, reasons=("grade answered",))
FAILED = Found(ResultState.FAILED, problem="c shows no tissue.")
NOTHING = Found(ResultState.NOTHING)
SIGNALS = ("run_requested", "pause_requested", "go_on_requested", "stop_requested")


@pytest.fixture
def tab(qtbot):
    made = WorklistTab()
    qtbot.addWidget(made)
    made.resize(380, 700)
    made.show()
    return made


def show(tab, made):
    cards = (build.card(), build.card("grade"))
    tab.render(worklist_snapshot(SessionState(listing=made, cards=cards)))


def shown(tab, column=Column.SLIDE):
    proxy = tab.table.proxy
    return [proxy.index(place, column).data() for place in range(proxy.rowCount())]


def press(tab, button):
    told = []
    for name in SIGNALS:
        getattr(tab, name).connect(lambda name=name: told.append(name))
    button.click()
    return told


def test_without_a_list_there_is_a_sentence_and_two_buttons(tab):
    show(tab, actions.end_reading(Listing(), "x holds no slide and no bag."))
    assert tab.folder_button.isVisible()
    assert tab.table_button.isVisible()
    assert not tab.table.isVisible()
    assert tab._empty_message.text() == "x holds no slide and no bag."


def test_rows_are_shown_and_only_what_changes_is_drawn_anew(tab):
    made = looked(done("a"), STALE, FAILED)
    show(tab, made)
    assert shown(tab) == ["a", "b", "c"]
    assert shown(tab, Column.STATE) == ["done", "stale", "failed"]
    told = []
    tab.table.source.dataChanged.connect(lambda first, last, *_: told.append(first.row()))
    tab.table.choose(1)
    show(tab, actions.write_note(made, 2, "n"))
    assert told == [2]
    assert tab.table.current_number == 1
    show(tab, actions.write_note(made, 2, "n"))


def test_rows_are_filtered_by_text_and_by_state(tab):
    show(tab, looked(done("a"), STALE, FAILED))
    tab.state_box.choose(str(StateWord.FAILED))
    assert shown(tab) == ["c"]
    tab.state_box.choose("")
    tab.filter_text.setText("tumour")
    assert shown(tab) == ["a", "b"]
    tab.filter_text.clear()
    assert shown(tab) == ["a", "b", "c"]


def test_rows_are_sorted_by_a_click_on_a_header_and_open_as_they_stand(tab):
    made = looked(done("a", p=0.7), done("b", p=0.9), done("c", p=0.8))
    show(tab, made)
    tab.table.sortByColumn(Column.PROBABILITY, Qt.SortOrder.DescendingOrder)
    assert shown(tab) == ["b", "c", "a"]
    assert tab.table.numbers == [1, 2, 0]
    opened = []
    tab.table.row_opened.connect(opened.append)
    tab.table.doubleClicked.emit(tab.table.proxy.index(0, Column.CLASS))
    assert opened == [1]


def test_return_opens_the_current_row(tab, qtbot):
    show(tab, looked(done("a"), done("b")))
    opened = []
    tab.table.row_opened.connect(opened.append)
    qtbot.keyClick(tab.table, Qt.Key.Key_Return)
    assert opened == [], "none is current"
    tab.table.choose(1)
    qtbot.keyClick(tab.table, Qt.Key.Key_Return)
    assert opened == [1]


def test_a_note_is_written_in_the_table_or_below_it(tab):
    show(tab, looked(done("a"), done("b")))
    written = []
    tab.table.note_written.connect(lambda number, note: written.append((number, note)))
    index = tab.table.proxy.index(0, Column.NOTE)
    assert index.flags() & Qt.ItemFlag.ItemIsEditable
    assert not tab.table.proxy.index(0, Column.CLASS).flags() & Qt.ItemFlag.ItemIsEditable
    tab.table.proxy.setData(index, " look again ")
    tab.table.choose(1)
    tab.note_edit.setText("margin")
    tab.note_edit.editingFinished.emit()
    assert written == [(0, "look again"), (1, "margin")]


def test_the_note_and_the_fault_of_the_current_row_stand_below(tab):
    made = actions.write_note(looked(done("a"), FAILED), 0, "fine")
    show(tab, made)
    assert not tab.note_edit.isEnabled()
    tab.table.choose(0)
    assert (tab.note_edit.text(), tab.remark.isVisible()) == ("fine", False)
    tab.table.choose(1)
    assert (tab.note_edit.text(), tab.remark.text()) == ("", "c shows no tissue.")


def test_a_note_that_is_being_typed_survives_progress(tab, monkeypatch):
    made = looked(done("a"), NOTHING)
    show(tab, made)
    tab.table.choose(0)
    monkeypatch.setattr(tab.note_edit, "hasFocus", lambda: True)
    tab.note_edit.setText("half a se")
    show(tab, actions.start_row(actions.start_run(made, {1}), 1))
    assert tab.note_edit.text() == "half a se"


def test_the_buttons_run_pause_go_on_and_stop(tab):
    made = looked(NOTHING)
    show(tab, made)
    assert (tab.button.text(), tab.pause_button.isVisible()) == ("Run all", False)
    assert press(tab, tab.button) == ["run_requested"]
    running = actions.start_run(made, {0})
    show(tab, running)
    assert (tab.button.text(), tab.pause_button.text()) == ("Stop", "Pause")
    assert not tab.open_folder_button.isEnabled()
    assert press(tab, tab.pause_button)[:1] == ["pause_requested"]
    show(tab, actions.set_phase(running, Phase.PAUSED))
    assert tab.pause_button.text() == "Go on"
    assert press(tab, tab.pause_button)[:1] == ["go_on_requested"]
    assert press(tab, tab.button)[:1] == ["stop_requested"]
    show(tab, actions.set_phase(running, Phase.STOPPING))
    assert (tab.button.text(), tab.button.isEnabled()) == ("Stopping…", False)


def test_with_nothing_to_do_the_button_says_so(tab):
    show(tab, looked(done("a")))
    assert not tab.button.isEnabled()
    assert tab.button.toolTip() == "Every row has an answer that holds."


def test_a_running_row_has_a_bar(tab):
    made = actions.start_row(actions.start_run(looked(NOTHING), {0}), 0)
    show(tab, actions.advance(actions.count(made, 10), 4, None))
    assert tab.table.proxy.index(0, Column.STATE).data(PROGRESS_ROLE) == 0.4
    assert tab.grab().height() == tab.height(), "it is painted"


def test_thumbnails_are_asked_for_rows_in_view_and_once_each(tab, qtbot):
    names = [f"slide{k:03d}" for k in range(200)]
    wanted = []
    tab.table.thumbnails_wanted.connect(wanted.append)
    show(tab, listing(*names))
    qtbot.waitUntil(lambda: bool(wanted), timeout=60_000)
    first = wanted[0]
    assert first[0] == 0
    assert len(first) < 30
    for number in first:
        tab.table.set_thumbnail(number, np.zeros((20, 30, 3), np.uint8))
    bar = tab.table.verticalScrollBar()
    bar.setValue(bar.maximum())
    qtbot.waitUntil(lambda: 199 in wanted[-1], timeout=60_000)
    assert not set(wanted[-1]) & set(first)


def test_few_thumbnails_are_kept(tab, monkeypatch):
    monkeypatch.setattr(worklist_table, "KEPT_THUMBNAILS", 3)
    show(tab, listing(*"abcdef"))
    for number in range(6):
        tab.table.set_thumbnail(number, None)
    kept = [number for number in range(6) if tab.table.source.has_thumbnail(number)]
    assert kept == [3, 4, 5]
    tab.table.set_thumbnail(99, None)


def test_a_name_keeps_both_ends(tab):
    name = "TCGA-A8-A06X-01Z-00-DX1.8F9E7C5B-6A6D-4A1F"
    show(tab, listing(name))
    table = tab.table
    index = table.proxy.index(0, Column.SLIDE)
    option = worklist_table.QStyleOptionViewItem()
    option.initFrom(table)
    option.rect = table.visualRect(index)
    table.itemDelegateForColumn(Column.SLIDE).initStyleOption(option, index)
    text = option.text.replace(worklist_table.ANYWHERE, "")
    assert "…" in text
    assert text.startswith("TCGA-")
    assert text.endswith("4A1F")
    assert index.data() == name


@pytest.mark.parametrize(
    ("names", "told"), [(["folder"], ["folder"]), (["a.csv"], ["a.csv"]), (["a.svs"], [])]
)
def test_a_folder_or_a_table_is_taken_when_dropped(tab, tmp_path, names, told):
    (tmp_path / "folder").mkdir()
    dropped = []
    tab.path_dropped.connect(dropped.append)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    tab.dropEvent(event)
    assert dropped == [str(tmp_path / name) for name in told]


def test_results_whose_slides_are_not_known_can_be_told_where_they_lie(tab):
    made = listing("a")
    show(tab, made)
    assert not tab.locate_button.isVisible()
    item = replace(made.rows[0].item, path=None)
    show(tab, replace(made, rows=(replace(made.rows[0], item=item),)))
    assert tab.locate_button.isVisible()
