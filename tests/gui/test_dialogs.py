"""Dialogs begin where they ended last; a dialog that is cancelled changes nothing."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from napari_mil.gui import dialogs as module
from napari_mil.gui.dialogs import FILE_FILTER, Dialogs
from napari_mil.gui.last_used import LastUsed


@pytest.fixture
def asked(monkeypatch):
    made = MagicMock()
    made.getOpenFileNames.return_value = ([], "")
    made.getOpenFileName.return_value = ("", "")
    made.getExistingDirectory.return_value = ""
    monkeypatch.setattr(module, "QFileDialog", made)
    return made


@pytest.fixture
def last_used():
    made = MagicMock(spec=LastUsed)
    made.folder.side_effect = lambda dialog: f"last/{dialog}"
    return made


@pytest.fixture
def dialogs(asked, last_used):
    return Dialogs(None, last_used)


def test_files_are_asked_for_where_the_last_ones_were(dialogs, asked, last_used):
    asked.getOpenFileNames.return_value = (["data/a.svs", "data/b.svs"], "")
    assert dialogs.ask_for_files() == [Path("data/a.svs"), Path("data/b.svs")]
    assert asked.getOpenFileNames.call_args.args[2] == "last/slides"
    last_used.remember_folder.assert_called_once_with("slides", Path("data"))


@pytest.mark.parametrize(
    ("method", "dialog"),
    [
        ("ask_for_images", "images"),
        ("ask_for_cohort", "annotated"),
        ("ask_for_run", "run"),
        ("ask_for_out", "run"),
    ],
)
def test_a_folder_is_asked_for_where_the_last_one_was(dialogs, asked, last_used, method, dialog):
    asked.getExistingDirectory.return_value = "data/bag"
    answer = getattr(dialogs, method)()
    assert answer in (Path("data/bag"), [Path("data/bag")])
    assert asked.getExistingDirectory.call_args.args[2] == f"last/{dialog}"
    last_used.remember_folder.assert_called_once_with(dialog, Path("data/bag"))


def test_a_table_is_asked_for_beside_the_annotated_folders(dialogs, asked, last_used):
    asked.getOpenFileName.return_value = ("data/labels.csv", "")
    assert dialogs.ask_for_table() == Path("data/labels.csv")
    assert asked.getOpenFileName.call_args.args[2] == "last/annotated"
    last_used.remember_folder.assert_called_once_with("annotated", Path("data"))


def test_a_dialog_that_is_cancelled_changes_nothing(dialogs, last_used):
    assert dialogs.ask_for_files() == []
    assert dialogs.ask_for_images() == []
    assert dialogs.ask_for_cohort() is None
    assert dialogs.ask_for_table() is None
    assert dialogs.ask_for_run() is None
    assert dialogs.ask_for_out() is None
    last_used.remember_folder.assert_not_called()


@pytest.mark.parametrize("ending", [".svs", ".png", ".h5", ".pt", ".geojson"])
def test_every_kind_of_file_can_be_chosen(ending):
    assert f"*{ending}" in FILE_FILTER
    assert FILE_FILTER.startswith("All files (*)")
