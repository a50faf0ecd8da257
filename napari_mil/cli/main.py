"""Parsing of arguments, running of a verb, exit codes."""

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

from napari_mil.cli import (
    cache,
    classify,
    compare,
    crop,
    doctor,
    embed,
    export,
    listing,
    pretrain,
    score,
    train,
)
from napari_mil.cli.exit_codes import CANCELLED, DEFECT, INPUT_AT_FAULT
from napari_mil.cli.words import REMEDIES
from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.settings import Settings

AddVerb = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None]


class OneSentenceParser(argparse.ArgumentParser):
    """Parser that reports wrong arguments in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and leave with exit code 2."""
        sentence = message[:1].upper() + message[1:]
        sys.stderr.write(f"napari-mil: {sentence}; see '{self.prog} --help'.\n")
        sys.exit(INPUT_AT_FAULT)


def build_parser(further_verbs: Sequence[AddVerb] = ()) -> argparse.ArgumentParser:
    """Return the parser of all verbs.

    Parameters
    ----------
    further_verbs
        Functions that add verbs which are not defined in this package.
    """
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
        embed.add,
        crop.add,
        train.add_train,
        train.add_evaluate,
        pretrain.add,
        export.add,
        score.add,
        compare.add,
        listing.add,
        cache.add,
        doctor.add,
    ):
        add(verbs)
    return parser


def run(arguments: Sequence[str], further_verbs: Sequence[AddVerb] = ()) -> int:
    """Run one command and return its exit code.

    Returns
    -------
    int
        0 done, 2 the input is at fault, 3 of several slides some failed, 130 cancelled, 1 a defect
        of the program.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter gets a question mark.
            stream.reconfigure(errors="replace")
    parsed = build_parser(further_verbs).parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except (CancelledError, KeyboardInterrupt) as error:
        kept = error.kept if isinstance(error, CancelledError) else ""
        kept = kept or "what was complete is kept, nothing else was written"
        sys.stderr.write(f"napari-mil: cancelled; {kept}.\n")
        return CANCELLED
    except NapariMilError as error:
        sys.stderr.write(f"napari-mil: {error.worded(REMEDIES)}\n")
        return INPUT_AT_FAULT
    except Exception:
        where = _write_log(traceback.format_exc())
        sys.stderr.write(
            f"napari-mil: this is a defect of the program; please report it with the file {where}\n"
        )
        return DEFECT


def _write_log(text: str) -> Path:
    """Write a traceback to a log file; it holds no property of a slide."""
    folder = Settings().log_folder
    name = f"defect-{datetime.now():%Y%m%d-%H%M%S}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text, encoding="utf-8")
    except OSError:
        path = Path(f"napari-mil-{name}").absolute()
        path.write_text(text, encoding="utf-8")
    return path
