"""``napari-mil train FOLDER|CONFIG --out RUN`` and ``napari-mil evaluate FOLDER --out RUN``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_mil.cli.classify import cancel_on_interrupt
from napari_mil.cli.output import say
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.errors import OptionError
from napari_mil.inference.results import ResultStore
from napari_mil.training.cohort import Cohort
from napari_mil.training.layout import CLASSIFIER, is_finished
from napari_mil.training.patients import suggest_pattern
from napari_mil.training.recipes import Strategy
from napari_mil.training.scanning import scan_annotated_folder

if TYPE_CHECKING:
    from napari_mil.training.config import TrainingConfig
    from napari_mil.training.evaluation import Evaluation


def add_train(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``train``."""
    parser = verbs.add_parser(
        "train",
        help="train a classifier on annotated folders",
        description="Train a classifier on a folder with one folder per class, or with a labels.csv (slide,label[,patient][,split]). "
        "RUN gets config.json, history.csv and, when done, the classifier; what is not given comes from the method's published recipe.",
    )
    _add_common(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what was found and stop")
    parser.set_defaults(run=run_train)


def add_evaluate(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate``."""
    parser = verbs.add_parser(
        "evaluate",
        help="judge a way of training by cross-validation",
        description="Repeated, stratified cross-validation by patient. Nothing is chosen on the fold that is reported, unless --protocol published. "
        "RUN gets evaluation.json; a classifier that the same settings made there gets the figures into its card.",
    )
    _add_common(parser)
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="folds (default 5)")
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="draws of the folds (default 1)"
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
    parser.add_argument("--learning-rate", type=float, metavar="RATE")
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
        "--seed", type=int, metavar="N", help="of everything that is drawn (default 0)"
    )
    parser.add_argument("--device", metavar="D", help="auto, cpu or cuda")
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
"""Options that are fields of the configuration."""


def run_train(arguments: argparse.Namespace) -> int:
    """Train; 0 when there is a classifier."""
    out = arguments.out.expanduser().absolute()
    if (
        arguments.resume and not arguments.dry_run and is_finished(out)
    ):  # whether or not its bags are still there
        done = out / CLASSIFIER
        if arguments.json:
            say(
                json.dumps(
                    {"folder": str(out), "classifier": str(done), "epoch": 0, "already_done": True}
                )
            )
        else:
            say(f"{arguments.out}: finished before, nothing to do → {done}")
        return 0
    config, cohort = _prepare(arguments)
    if arguments.dry_run:
        return 0
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
    if arguments.json:
        say(
            json.dumps(
                {
                    "folder": str(result.folder),
                    "classifier": str(result.classifier),
                    "epoch": result.epoch,
                    "already_done": result.already_done,
                }
            )
        )
    else:
        from napari_mil.inference.card import read_card

        headline = read_card(result.classifier).evaluation.get("headline", "")
        say(
            f"{arguments.out}: epoch {result.epoch} of {len(result.history)} kept; {headline} → {result.classifier}"
        )
    return 0


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Cross-validate; 0 when there are figures."""
    config, cohort = _prepare(arguments)
    from napari_mil.training.evaluation import cross_validate

    progress = TrainingPrinter("evaluate", quiet=arguments.json)
    try:
        evaluation = cross_validate(
            cohort,
            config,
            folds=arguments.folds,
            repeats=arguments.repeats,
            protocol=arguments.protocol,
            out=arguments.out,
            on_event=progress,
            cancel=cancel_on_interrupt(),
            resume=arguments.resume,
            workers=arguments.workers,
        )
    finally:
        progress.close()
    if arguments.json:
        say(json.dumps(evaluation.as_dict(), ensure_ascii=False))
    else:
        for line in table(evaluation):
            say(line)
    return 0


def table(evaluation: Evaluation) -> list[str]:
    """Return the figures as lines, with the protocol they come from."""
    lines = [
        f"{evaluation.label}; {evaluation.selection}",
        f"{'':24} pooled   95 % interval   folds: mean ± SD   SD over repeats",
    ]
    for name, value in evaluation.metrics.items():
        repeats = f"{value.sd_repeats:.3f}" if value.sd_repeats == value.sd_repeats else "–"
        lines.append(
            f"{name.replace('_', ' '):24} {value.mean:.3f}    {value.low:.3f} – {value.high:.3f}   {value.fold_mean:.3f} ± {value.sd_folds:.3f}      {repeats}"
        )
    if evaluation.overlay:
        lines.append(
            "overlay                  "
            + ", ".join(f"{name} {value}" for name, value in evaluation.overlay.items())
        )
    return lines


def _prepare(arguments: argparse.Namespace) -> tuple[TrainingConfig, Cohort]:
    """Put file and options together, look at the folder, say what was found."""
    ResultStore(arguments.out).prepare()
    source, base = _source(arguments)
    from napari_mil.training.config import make_config, read_config

    fields: dict[str, Any] = {}
    if base is not None:
        config = read_config(base)
        fields = {name: getattr(config, name) for name in config.model_fields_set}
        source = source or (Path(config.cohort) if config.cohort else None)
    if source is None:
        raise OptionError(
            f"{arguments.source.name} names no cohort; give the annotated folder, and the configuration by --config."
        )
    fields |= {
        name: getattr(arguments, name) for name in FIELDS if getattr(arguments, name) is not None
    }
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise OptionError(f"--set takes FIELD=VALUE, not {assignment!r}.")
        fields[name] = _value(value)
    config = make_config(**{**fields, "cohort": str(source)})
    cohort = scan_annotated_folder(source).with_patients(config.patient_pattern)
    if not arguments.json:
        for line in describe(cohort):
            say(line, sys.stderr)
    cohort.check()
    return config, cohort


def _source(arguments: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Return (annotated folder or table, configuration file)."""
    if arguments.source.suffix == ".json":
        if arguments.config is not None:
            raise OptionError("A configuration is given twice; leave one of them out.")
        return None, arguments.source
    return arguments.source, arguments.config


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def describe(cohort: Cohort) -> list[str]:
    """Return the bags, what was skipped and what is odd, as lines."""
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
    """Prints a line per epoch, and the progress of everything else as usual."""

    def __call__(self, event: Any) -> None:
        """Print what the event says."""
        from napari_mil.events import EpochEnded

        if not isinstance(event, EpochEnded):
            super().__call__(event)
        elif not self.quiet:
            shown = ("loss", "validation_loss", "validation_auc", "mask_ratio", "tile_auc")
            figures = ", ".join(
                f"{name.replace('_', ' ')} {event.figures[name]:.4g}"
                for name in shown
                if event.figures.get(name) is not None
            )
            self.say(f"epoch {event.epoch}: {figures}")
