"""``napari-mil pretrain``: adapt the embedded encoder to slides of one's own."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mil.cli.classify import add_tiling, cancel_on_interrupt
from napari_mil.cli.output import print_line
from napari_mil.cli.train import TrainingPrinter
from napari_mil.encoders.cards import DEFAULT_ENCODER
from napari_mil.inference.results import ResultStore
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.pretraining.layout import is_pretrained
from napari_mil.training.pretraining.sources import find_sources

if TYPE_CHECKING:
    from napari_mil.training.pretraining.run import PretrainingResult

FIELDS = (
    "tiles",
    "epochs",
    "batch",
    "learning_rate",
    "seed",
    "device",
    "tile_px",
    "mpp",
    "level",
    "slide_mpp",
    "mask",
)
"""Names of options that are fields of the configuration."""


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "pretrain",
        help="adapt the encoder to your own slides, without labels",
        description=f"Adapt the encoder {DEFAULT_ENCODER} to tiles of your own slides by "
        "contrastive learning, and say, on slides held out from it, whether that helped. DIR gets "
        "pretraining.json, history.csv and, when done, the encoder: give DIR as --encoder to "
        "embed, train or evaluate.",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SLIDE|FOLDER",
        help="slide, folder of slides or of images, annotated folder or its labels.csv; "
        "labels serve the probe alone",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--tiles", type=int, metavar="N", help="tiles to learn from, of all slides (default 2000)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over them (default 10)")
    parser.add_argument(
        "--batch", type=int, metavar="N", help="tiles told apart at a time (default 64)"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="learning rate of the optimiser"
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="random seed of tiles, views and the held-out slides (default 0)",
    )
    parser.add_argument("--device", metavar="D", help="auto, cpu or cuda")
    add_tiling(parser, of="encoder")
    parser.set_defaults(mask=None)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with what is in DIR; start where nothing is; do nothing where it has finished",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Adapt the encoder and return 0 when there is one."""
    folder = arguments.out.expanduser().absolute()
    if arguments.resume and is_pretrained(folder):
        # A finished run needs its slides no more.
        from napari_mil.training.pretraining.run import finished_result

        _report(arguments, finished_result(folder))
        return 0
    ResultStore(arguments.out).prepare()
    from napari_mil.training.pretraining.config import make_pretraining_config

    options = {name: getattr(arguments, name) for name in FIELDS}
    given = {name: value for name, value in options.items() if value is not None}
    config = make_pretraining_config(sources=arguments.sources, **given)
    cohort = find_sources([Path(source) for source in arguments.sources])
    if not arguments.json:
        for line in describe(cohort):
            print_line(line, sys.stderr)
    from napari_mil.training.pretraining.run import pretrain

    progress = TrainingPrinter("pretrain", quiet=arguments.json)
    try:
        result = pretrain(
            cohort,
            config,
            out=arguments.out,
            on_event=progress,
            cancel=cancel_on_interrupt(),
            resume=arguments.resume,
        )
    finally:
        progress.close()
    _report(arguments, result)
    return 0


def describe(cohort: Cohort) -> list[str]:
    """Return lines on what was found, and on what is skipped."""
    slides = "1 slide or folder" if len(cohort) == 1 else f"{len(cohort)} slides or folders"
    known = [bag for bag in cohort.bags if bag.patient_known]
    patients = f", of {cohort.n_patients} patients" if len(known) == len(cohort) else ""
    lines = [f"{slides}{patients}"]
    lines += [f"  skipped {finding.path.name}: {finding.text}" for finding in cohort.skipped]
    return lines


def _report(arguments: argparse.Namespace, result: PretrainingResult) -> None:
    """Print what came of it."""
    if arguments.json:
        print_line(json.dumps(as_dict(result), ensure_ascii=False))
        return
    state = "finished before, nothing to do" if result.already_done else "done"
    print_line(f"{arguments.out}: {state} → {result.encoder}")
    for figure in result.probes:
        print_line(figure.sentence(result.base, result.held_out))


def as_dict(result: PretrainingResult) -> dict[str, Any]:
    """Return a result for machines."""
    return {
        "folder": str(result.folder),
        "encoder": str(result.encoder),
        "base": result.base,
        "held_out": result.held_out,
        "probes": [{**asdict(figure), "verdict": figure.verdict} for figure in result.probes],
        "already_done": result.already_done,
    }
