"""``napari-mil score``: figures of a classifier on a labelled cohort of somebody else."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.cli.classify import add_tiling, cancel_on_interrupt, request_of
from napari_mil.cli.exit_codes import SOME_FAILED
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.cli.train import describe, metric_lines
from napari_mil.inference.library import find_card
from napari_mil.inference.results import ResultStore
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.layout import FIGURES
from napari_mil.training.regions.classes import parse_mapping

if TYPE_CHECKING:
    from napari_mil.training.evaluation.score import Score


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "score",
        help="judge a classifier on labelled slides or bags that it was not trained on",
        description="Classify a labelled cohort and tell how well that went. DIR gets score.json, "
        "the answer for every bag (predictions.csv) and a page of figures; with --resume, bags "
        "that were answered before are not classified again.",
    )
    parser.add_argument(
        "classifier",
        metavar="CLASSIFIER",
        help="name (see 'list classifiers') or folder of a bundle",
    )
    parser.add_argument(
        "source",
        type=Path,
        metavar="FOLDER|CSV",
        help="folder with one folder per class, or its labels.csv",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--map-classes",
        default="",
        metavar="A=b,C=d",
        help="classes of the cohort A, C that are the classifier's b, d; A= leaves such bags out",
    )
    parser.add_argument(
        "--patient-pattern",
        metavar="REGEX",
        help="pattern on names of bags that gives the patient where nothing else does",
    )
    parser.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        help="where to compute (default: the GPU where there is one)",
    )
    add_tiling(parser)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="encode anew and keep no features (see 'napari-mil cache')",
    )
    parser.add_argument(
        "--resume", action="store_true", help="use the answers that are in DIR already"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Score and return the exit code.

    Returns
    -------
    int
        0, or 3 where some bags failed.

    Raises
    ------
    NapariMilError
        If the cohort or the classifier is at fault.
    """
    card = find_card(arguments.classifier)
    request = request_of(arguments, card)
    mapping = parse_mapping(arguments.map_classes, "Classes")
    ResultStore(arguments.out).prepare()
    cohort = scan_annotated_folder(arguments.source).with_patients(arguments.patient_pattern)
    if not arguments.json:
        for line in describe(cohort):
            print_line(line, sys.stderr)
    from napari_mil.training.evaluation.curves import curves_of
    from napari_mil.training.evaluation.page import write_page
    from napari_mil.training.evaluation.scoring import score

    progress = ProgressPrinter("score", quiet=arguments.json)
    try:
        found = score(
            cohort,
            card,
            out=arguments.out,
            mapping=mapping,
            request=request,
            slide_mpp=arguments.slide_mpp,
            resume=arguments.resume,
            on_event=progress,
            cancel=cancel_on_interrupt(),
        )
    finally:
        progress.close()
    write_page(curves_of(found.answers), found.headline, arguments.out)
    _report(found, arguments)
    if found.failed:
        total = found.n_bags + len(found.failed)
        sys.stderr.write(f"napari-mil: {len(found.failed)} of {total} bags failed.\n")
    return SOME_FAILED if found.failed else 0


def _report(found: Score, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_line(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    print_line(f"{found.label}; {found.selection}")
    for line in metric_lines(found.metrics):
        print_line(line)
    for name, value in found.calibration.items():
        print_line(f"{name}: {value:.3f}")
    print_line(f"→ {arguments.out / FIGURES[0]}")
