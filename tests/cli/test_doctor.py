import json
import subprocess

from napari_mil.cli import doctor
from tests.cli.command import environment_without_display, run


def test_doctor_names_what_is_missing_and_how_to_mend_it():
    result = run("doctor", "--json", env=environment_without_display())
    assert result.returncode == 0
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    assert rows["display"]["state"] == "none"
    assert "xvfb-run" in rows["display"]["mend"]
    assert rows["torch"]["mend"] == ""
    assert "breast-malignancy" in rows["classifiers"]["state"]


def test_a_window_system_without_answer_is_named_with_the_libraries_to_install(monkeypatch):
    def hang(*_, **__):
        raise subprocess.TimeoutExpired("python", doctor.PROBE_SECONDS)

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(subprocess, "run", hang)
    (result,) = doctor._display()
    assert result.state == "cannot open a window (no answer within 60 s)"
    assert "libxcb-cursor0" in result.mend
