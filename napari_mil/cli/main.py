"""Parse, run, and turn what happened into an exit code."""

from __future__ import annotations

import argparse
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from napari_mil.cli import classify, doctor, listing, train
from napari_mil.cli.words import REMEDIES
from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.settings import Settings

DEFECT, INPUT_AT_FAULT, CANCELLED = 1, 2, 130

AddVerb = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]


class OneSentenceParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, like every other fault of an input."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        sentence = message[:1].upper() + message[1:]
        sys.stderr.write(f"napari-mil: {sentence}; see '{self.prog} --help'.\n")
        sys.exit(INPUT_AT_FAULT)


def build_parser(further_verbs: Sequence[AddVerb] = ()) -> argparse.ArgumentParser:
    """Return the parser with the verbs of this room and those given."""
    parser = OneSentenceParser(
        prog="napari-mil",
        description="Classify whole slides by multiple-instance learning. Research use only.",
    )
    parser.add_argument(
        "--version", action="version", version=f"napari-mil {version('napari-mil')}"
    )
    verbs: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        dest="verb", required=True, metavar="VERB", parser_class=OneSentenceParser
    )
    for add in (
        *further_verbs,
        classify.add,
        train.add_train,
        train.add_evaluate,
        listing.add,
        doctor.add,
    ):
        add(verbs)
    return parser


def run(arguments: Sequence[str], further_verbs: Sequence[AddVerb] = ()) -> int:
    """Run one command; every outcome becomes an exit code of design §4.10."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that lacks a letter gets a question mark
    parsed = build_parser(further_verbs).parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except (CancelledError, KeyboardInterrupt):
        sys.stderr.write(
            "napari-mil: cancelled; what was complete is kept, nothing else was written.\n"
        )
        return CANCELLED
    except NapariMilError as error:
        sys.stderr.write(f"napari-mil: {error.worded(REMEDIES)}\n")
        return INPUT_AT_FAULT
    except Exception:
        where = _write_log(traceback.format_exc())
        sys.stderr.write(
            f"napari-mil: this is a defect of ours; please report it with the file {where}\n"
        )
        return DEFECT


def _write_log(text: str) -> Path:
    """Write a traceback to a log file; it holds no property of a slide."""
    folder = Settings().log_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"defect-{datetime.now():%Y%m%d-%H%M%S}.log"
        path.write_text(text, encoding="utf-8")
    except OSError:
        path = Path(f"napari-mil-defect-{datetime.now():%Y%m%d-%H%M%S}.log").absolute()
        path.write_text(text, encoding="utf-8")
    return path
