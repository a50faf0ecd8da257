"""What goes to stdout."""

from __future__ import annotations

import os
import sys


def say(line: str) -> None:
    """Print a line; a reader who has left does not stop the work."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # Later lines, and Python's own flush at the end, go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
