"""The program of its own."""

import pytest

from napari_mil.errors import NapariMilError
from napari_mil.gui import app


def test_without_a_display_there_is_one_sentence(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(app.sys, "platform", "linux")
    with pytest.raises(NapariMilError, match="no display"):
        app.prepare()


def test_without_qt_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(NapariMilError, match=r"napari-mil\[pyqt5\]"):
        app.prepare()


def test_a_typing_error_is_said_before_a_window_opens(monkeypatch, tmp_path):
    monkeypatch.setattr(app, "prepare", lambda: pytest.fail("a window was opened"))
    with pytest.raises(NapariMilError, match=r"scan_07\.svs does not exist"):
        app.view([str(tmp_path / "scan_07.svs")])


def test_files_of_the_menu_are_opened_without_asking_for_a_reader(bench, slide_path):
    bench.viewer.window._qt_viewer._qt_open([str(slide_path)], stack=False)
    bench.wait()
    assert bench.state.current_subject.path == slide_path


def test_open_with_plugin_still_asks_napari(bench, slide_path):
    bench.viewer.window._qt_viewer._qt_open([str(slide_path)], stack=False, plugin="napari-mil")
    bench.wait()
    assert [subject.path for subject in bench.state.subjects] == [slide_path]
