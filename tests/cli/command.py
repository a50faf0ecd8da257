"""The command as users run it, in a process of its own."""

import os
import subprocess
import sys

TOOL = [sys.executable, "-m", "napari_mil"]


def run(*arguments, **options):
    """Run the command and return the completed process."""
    return subprocess.run(
        [*TOOL, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
        **options,
    )


def sentence_of(result):
    """Return the one line on stderr."""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("napari-mil: ")
    assert "Traceback" not in line
    return line


def environment_without_display():
    """Return the environment of a machine without a screen."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    return {key: value for key, value in os.environ.items() if key not in hidden}
