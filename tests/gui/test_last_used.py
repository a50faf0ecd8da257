"""What the window remembers from one time to the next."""

from dataclasses import replace

import pytest

from napari_mil.gui.last_used import FILE, LastUsed
from napari_mil.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return replace(Settings(), user_folder=tmp_path / "user")


def test_nothing_is_remembered_at_first(settings):
    last_used = LastUsed(settings)
    assert last_used.classifier == ""
    assert last_used.folder("slides") == ""


def test_folders_and_the_classifier_are_there_the_next_time(settings, tmp_path):
    last_used = LastUsed(settings)
    last_used.classifier = "grade, low = 1"
    last_used.remember_folder("slides", tmp_path)
    last_used._file.sync()
    assert (settings.user_folder / FILE).is_file()
    again = LastUsed(settings)
    assert again.classifier == "grade, low = 1"
    assert again.folder("slides") == str(tmp_path)
    assert again.folder("images") == "", "each dialog has its own"


def test_a_folder_that_is_gone_is_forgotten(settings, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    last_used = LastUsed(settings)
    last_used.remember_folder("slides", gone)
    assert last_used.folder("slides") == str(gone)
    gone.rmdir()
    assert last_used.folder("slides") == ""


@pytest.mark.parametrize("text", ["[folder\nnonsense", "classifier=a, b, c", "\x00\x01"])
def test_a_damaged_file_remembers_nothing(settings, text):
    settings.user_folder.mkdir()
    (settings.user_folder / FILE).write_text(text)
    assert LastUsed(settings).classifier == ""


def test_a_file_that_cannot_be_written_stops_nothing(settings):
    settings.user_folder.write_text("a file where the folder should be")
    last_used = LastUsed(settings)
    last_used.classifier = "grade"
    last_used._file.sync()
    assert last_used.classifier == "grade", "for this time"
    assert settings.user_folder.is_file()
