"""Printing lines to stdout and stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def print_line(line: str, to: TextIO | None = None) -> None:
    """Print a line to stdout, or to another stream.

    A reader that closed the pipe does not stop the work.
    """
    stream = sys.stdout if to is None else to
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        # Later lines, and Python's own flush at the end, go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
