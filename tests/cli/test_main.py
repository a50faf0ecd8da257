import pytest

from napari_mil.cli import listing, main
from napari_mil.settings import Settings
from tests.cli.command import environment_without_display, run, sentence_of


@pytest.mark.parametrize(
    "verb",
    [
        ["--help"],
        ["--version"],
        ["list", "classifiers"],
        ["list", "aggregators"],
        ["list", "encoders"],
        ["classify", "--help"],
    ],
)
def test_verbs_answer(verb):
    result = run(*verb)
    assert result.returncode == 0
    assert result.stdout.strip()


def test_a_window_without_a_display_is_refused_in_words(slide_path):
    result = run("view", slide_path, env=environment_without_display())
    assert result.returncode == 2
    assert "no display" in sentence_of(result)


def test_a_defect_leaves_a_log_and_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(main, "Settings", lambda: Settings(log_folder=tmp_path))
    monkeypatch.setitem(listing.LISTINGS, "encoders", lambda _: 1 / 0)
    assert main.run(["list", "encoders"]) == 1
    (log,) = tmp_path.iterdir()
    error = capsys.readouterr().err
    assert str(log) in error
    assert "Traceback" not in error
    assert "ZeroDivisionError" in log.read_text()
