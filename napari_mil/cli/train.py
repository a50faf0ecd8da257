"""``napari-mil train`` and ``napari-mil evaluate``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_mil.cli.classify import cancel_on_interrupt
from napari_mil.cli.dry_run import run_dry
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.errors import OptionError
from napari_mil.events import EpochEnded, StageStarted
from napari_mil.inference.card import read_card
from napari_mil.inference.results import ResultStore
from napari_mil.training.cohorts.cohort import Cohort
from napari_mil.training.cohorts.patients import suggest_pattern
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.given_folds import GivenFolds, folds_of_table, read_folds
from napari_mil.training.layout import CLASSIFIER, FIGURES, is_finished, refuse_among_bags
from napari_mil.training.recipes import Strategy
from napari_mil.training.regions.classes import parse_mapping

if TYPE_CHECKING:
    from napari_mil.training.config import TrainingConfig
    from napari_mil.training.evaluation.cross_validation import Evaluation
    from napari_mil.training.evaluation.metrics import Estimate
    from napari_mil.training.run import TrainingResult

DEFAULT_FOLDS = 5
PATIENTS_UNKNOWN = "patients unknown"
FIELDS = (
    "aggregator",
    "strategy",
    "encoder",
    "start_from",
    "epochs",
    "learning_rate",
    "class_balance",
    "positive_class",
    "patient_pattern",
    "seed",
    "device",
    "tile_px",
    "mpp",
    "slide_mpp",
    "mask",
)
"""Names of options that are fields of the configuration."""


def add_train(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``train`` and its options."""
    parser = verbs.add_parser(
        "train",
        help="train a classifier on annotated folders",
        description="Train a classifier on a folder with one folder per class, or with a "
        "labels.csv (slide,label[,patient][,split]). RUN gets config.json, history.csv and, when "
        "done, the classifier; options not given come from the method's published recipe.",
    )
    _add_common(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what was found and stop")
    parser.set_defaults(run=run_train)


def add_evaluate(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``evaluate`` and its options."""
    parser = verbs.add_parser(
        "evaluate",
        help="judge a way of training by cross-validation",
        description="Repeated, stratified cross-validation by patient, or by bag where "
        "patients are unknown. Nothing is chosen on the fold that is reported, unless "
        "--protocol published. RUN gets evaluation.json, the answer for every bag "
        "(predictions.csv, validation.csv), the folds (folds.csv) and a page of figures; a "
        "classifier that the same settings made there gets the figures into its card.",
    )
    _add_common(parser)
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help=f"folds (default: those of the table's column 'fold', otherwise {DEFAULT_FOLDS})",
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="draws of the folds (default 1)")
    parser.add_argument(
        "--folds-from",
        type=Path,
        metavar="FILE",
        help="folds of another evaluation: its predictions.csv or folds.csv",
    )
    parser.add_argument(
        "--keep-models",
        action="store_true",
        help="write the classifier of every fold to RUN/models",
    )
    parser.add_argument(
        "--protocol",
        default="honest",
        choices=("honest", "published"),
        help="published chooses on the test fold, as the paper did, and says so",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one per core)"
    )
    parser.set_defaults(run=run_evaluate)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of both verbs."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="FOLDER|CONFIG",
        help="annotated folder, its labels.csv, or the config.json of a run",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration to start from; options given here win",
    )
    _add_method(parser)
    _add_tiles(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any other field of the configuration, its value as JSON",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with what is in RUN; start where nothing is; do nothing where it has finished",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_method(parser: argparse.ArgumentParser) -> None:
    """Add the options of the method and its training."""
    parser.add_argument(
        "--aggregator", metavar="NAME", help="see 'list aggregators' (default gated-abmil)"
    )
    parser.add_argument(
        "--strategy", choices=get_args(Strategy), help="masked hard-instance mining"
    )
    parser.add_argument(
        "--encoder",
        metavar="E",
        help="see 'list encoders', or a network to train with it: lenet5, nucleus-net, resnet18",
    )
    parser.add_argument(
        "--from",
        dest="start_from",
        metavar="CLASSIFIER",
        help="classifier whose weights, encoder and tiling are the start",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs at most")
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="learning rate of the optimiser"
    )
    parser.add_argument(
        "--class-balance",
        choices=("none", "weights", "sampling"),
        help="let uneven classes count alike",
    )
    parser.add_argument(
        "--patient-pattern",
        metavar="REGEX",
        help="pattern on names of bags that gives the patient where nothing else does",
    )
    parser.add_argument("--positive-class", metavar="NAME", help="of two classes, the positive one")
    parser.add_argument(
        "--map-regions",
        metavar="NAME=CLASS,…",
        help="classes that names of annotated regions stand for; NAME= leaves such regions out",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="random seed of weights, shuffling and sampling (default 0)",
    )
    parser.add_argument("--device", metavar="D", help="auto, cpu or cuda")


def _add_tiles(parser: argparse.ArgumentParser) -> None:
    """Add the options of tiles, as fields of the configuration."""
    parser.add_argument("--tile-px", type=int, metavar="PX", help="side of a tile in pixels")
    parser.add_argument("--mpp", type=float, help="µm per pixel of a tile")
    parser.add_argument(
        "--slide-mpp",
        type=float,
        metavar="MPP",
        help="µm per level-0 pixel of slides that do not say it",
    )
    parser.add_argument(
        "--mask", choices=("auto", "none"), help="detect tissue, or take the whole slide"
    )


def run_train(arguments: argparse.Namespace) -> int:
    """Train and return 0 when there is a classifier."""
    folder = arguments.out.expanduser().absolute()
    # A finished run needs its bags no more.
    if arguments.resume and not arguments.dry_run and is_finished(folder):
        _report_finished(arguments, folder)
        return 0
    config, cohort = _prepare(arguments)
    if arguments.dry_run:
        return run_dry(cohort, config, as_json=arguments.json)
    from napari_mil.training.run import train

    progress = TrainingPrinter("train", quiet=arguments.json)
    try:
        result = train(
            cohort,
            config,
            out=arguments.out,
            on_event=progress,
            cancel=cancel_on_interrupt(),
            resume=arguments.resume,
        )
    finally:
        progress.close()
    _report_trained(arguments, result)
    return 0


def _report_finished(arguments: argparse.Namespace, folder: Path) -> None:
    classifier = folder / CLASSIFIER
    if arguments.json:
        _print_json(folder, classifier, epoch=0, already_done=True)
    else:
        print_line(f"{arguments.out}: finished before, nothing to do → {classifier}")


def _report_trained(arguments: argparse.Namespace, result: TrainingResult) -> None:
    if arguments.json:
        _print_json(result.folder, result.classifier, result.epoch, result.already_done)
        return
    headline = read_card(result.classifier).evaluation.get("headline", "")
    print_line(
        f"{arguments.out}: epoch {result.epoch} of {len(result.history)} kept; {headline} "
        f"→ {result.classifier}"
    )


def _print_json(folder: Path, classifier: Path, epoch: int, already_done: bool) -> None:
    facts = {
        "folder": str(folder),
        "classifier": str(classifier),
        "epoch": epoch,
        "already_done": already_done,
    }
    print_line(json.dumps(facts))


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Cross-validate and return 0 when there are figures."""
    config, cohort = _prepare(arguments)
    given = _given_folds(arguments, cohort)
    from napari_mil.training.evaluation.cross_validation import cross_validate
    from napari_mil.training.evaluation.curves import curves_of
    from napari_mil.training.evaluation.page import write_page

    progress = TrainingPrinter("evaluate", quiet=arguments.json)
    try:
        evaluation = cross_validate(
            cohort,
            config,
            folds=DEFAULT_FOLDS if arguments.folds is None else arguments.folds,
            repeats=1 if arguments.repeats is None else arguments.repeats,
            protocol=arguments.protocol,
            out=arguments.out,
            on_event=progress,
            cancel=cancel_on_interrupt(),
            resume=arguments.resume,
            workers=arguments.workers,
            given=given,
            keep_models=arguments.keep_models,
        )
    finally:
        progress.close()
    if evaluation.answers is not None:
        write_page(curves_of(evaluation.answers), evaluation.headline, arguments.out)
    if arguments.json:
        print_line(json.dumps(evaluation.as_dict(), ensure_ascii=False))
        return 0
    for line in table(evaluation):
        print_line(line)
    print_line(f"→ {arguments.out / FIGURES[0]}")
    return 0


def _given_folds(arguments: argparse.Namespace, cohort: Cohort) -> GivenFolds | None:
    """Return the folds of a file, or of the cohort's own table; None where they are drawn.

    Raises
    ------
    OptionError
        If folds are given and asked for.
    """
    is_asked = arguments.folds is not None or arguments.repeats is not None
    if arguments.folds_from is None:
        return None if is_asked else folds_of_table(cohort)
    if is_asked:
        raise OptionError(
            f"The folds come from {arguments.folds_from.name}; leave out --folds and --repeats."
        )
    return read_folds(arguments.folds_from)


def table(evaluation: Evaluation) -> list[str]:
    """Return the figures and their protocol as lines."""
    lines = [f"{evaluation.label}; {evaluation.selection}", *metric_lines(evaluation.metrics)]
    lines += [few.text for few in evaluation.few_patients]
    if evaluation.overlay:
        figures = ", ".join(f"{name} {value}" for name, value in evaluation.overlay.items())
        lines.append(f"{'overlay':24} {figures}")
    return lines


def metric_lines(metrics: Mapping[str, Estimate]) -> list[str]:
    """Return figures as lines below their header; without folds or repeats, less of them."""
    has_folds = any(not math.isnan(value.fold_mean) for value in metrics.values())
    header = f"{'':24} pooled   95 % interval"
    header += "   folds: mean ± SD   SD over repeats" if has_folds else ""
    lines = [f"{header}   interval by"]
    for name, value in metrics.items():
        line = f"{name.replace('_', ' '):24} {value.mean:.3f}    {value.low:.3f} – {value.high:.3f}"
        if has_folds:
            repeats = "–" if math.isnan(value.sd_repeats) else f"{value.sd_repeats:.3f}"
            line += f"   {value.fold_mean:.3f} ± {value.sd_folds:.3f}      {repeats:15}"
        lines.append(f"{line}   {'–' if value.method is None else value.method.value}")
    return lines


def _prepare(arguments: argparse.Namespace) -> tuple[TrainingConfig, Cohort]:
    """Return the configuration and the cohort; print what was found."""
    ResultStore(arguments.out).prepare()
    config, source = _configure(arguments)
    cohort = scan_annotated_folder(source).with_patients(config.patient_pattern)
    if config.positive_class is not None:
        cohort = cohort.with_positive(config.positive_class)
    if not arguments.json:
        for line in describe(cohort):
            print_line(line, sys.stderr)
    cohort.check()
    refuse_among_bags(arguments.out, cohort)
    return config, cohort


def _configure(arguments: argparse.Namespace) -> tuple[TrainingConfig, Path]:
    """Return the configuration and the annotated folder or table.

    Options win over the configuration file.
    """
    from napari_mil.training.config import make_config, read_config

    source, file = _split_source(arguments)
    fields: dict[str, Any] = {}
    if file is not None:
        config = read_config(file)
        fields = {name: getattr(config, name) for name in config.model_fields_set}
        if source is None and config.cohort:
            source = Path(config.cohort)
    if source is None:
        raise OptionError(
            f"{arguments.source.name} names no cohort; "
            "give the annotated folder, and the configuration by --config."
        )
    options = {name: getattr(arguments, name) for name in FIELDS}
    fields |= {name: value for name, value in options.items() if value is not None}
    if arguments.map_regions is not None:
        fields["region_classes"] = parse_mapping(arguments.map_regions)
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise OptionError(f"--set takes FIELD=VALUE, not {assignment!r}.")
        fields[name] = _parse_value(value)
    return make_config(**{**fields, "cohort": str(source)}), source


def _split_source(arguments: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Return (annotated folder or table, configuration file)."""
    if arguments.source.suffix == ".json":
        if arguments.config is not None:
            raise OptionError("A configuration is given twice; leave one of them out.")
        return None, arguments.source
    return arguments.source, arguments.config


def _parse_value(text: str) -> Any:
    """Return a JSON value, or the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def describe(cohort: Cohort) -> list[str]:
    """Return lines on the bags, skipped files and warnings."""
    classes = ", ".join(f"{count} {name}" for name, count in cohort.counts.items())
    patients = f"of {cohort.n_patients} patients" if cohort.patients_known else PATIENTS_UNKNOWN
    first = f"{cohort.root.name}: {len(cohort)} bags ({classes}), {patients}"
    known = [bag.n for bag in cohort.bags if bag.n is not None]
    if known:
        first += f"; {sum(known)} instances"
    if len(cohort.classes) == 2 and not cohort.multi_label:
        first += f"; positive: {cohort.classes[1]}"
    lines = [first]
    pattern = suggest_pattern(cohort)
    if pattern is not None:
        n_patients = cohort.with_patients(pattern).n_patients
        lines.append(
            f"  names split evenly into {n_patients} patients: --patient-pattern {pattern!r}"
        )
    lines += [f"  skipped {finding.path.name}: {finding.text}" for finding in cohort.skipped]
    lines += [f"  note on {finding.path.name}: {finding.text}" for finding in cohort.warnings]
    return lines


class TrainingPrinter(ProgressPrinter):
    """Listener that also prints a line per epoch."""

    def __call__(self, event: Any) -> None:
        """Print an event."""
        if isinstance(event, StageStarted):
            words = f"stage {event.number} of {event.stages}: {event.name}"
            self.print_line(f"{words}, up to {event.epochs} epochs")
        elif not isinstance(event, EpochEnded):
            super().__call__(event)
        elif not self.quiet:
            shown = ("loss", "validation_loss", "validation_auc", "mask_ratio", "tile_auc")
            figures = ", ".join(
                f"{name.replace('_', ' ')} {event.figures[name]:.4g}"
                for name in shown
                if event.figures.get(name) is not None
            )
            self.print_line(f"epoch {event.epoch}: {figures}")
