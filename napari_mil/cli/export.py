"""``napari-mil export``: saved answers as files for other programs and for people."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_mil.bags import ImageBag, read_bag
from napari_mil.cli.classify import Failures, cancel_on_interrupt
from napari_mil.cli.exit_codes import SOME_FAILED
from napari_mil.cli.output import print_line
from napari_mil.errors import NapariMilError, OutputError
from napari_mil.events import CancellationToken
from napari_mil.exports.cards import FORMATS, FormatCard
from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.maps import ScaleMode
from napari_mil.exports.source import Corner, ExportChoices, ObjectKind, with_features
from napari_mil.inference.prediction import PREDICTION_FILE, Prediction
from napari_mil.inference.targets import Target, open_target
from napari_mil.slides import Slide


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    formats = "\n".join(f"  {card.name:10} {card.title}: {card.holds}" for card in FORMATS.values())
    parser = verbs.add_parser(
        "export",
        help="write answers as GeoJSON, CSV, HDF5, AnnData, OME-Zarr, pictures or a report",
        description="Write saved answers for other programs and for people. Values are those of "
        f"the answer; nothing is computed anew.\n\nformats:\n{formats}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "predictions",
        nargs="+",
        type=Path,
        metavar="PREDICTION_DIR",
        help="folder with prediction.json, or a folder of such folders",
    )
    parser.add_argument(
        "--format",
        required=True,
        action="append",
        choices=tuple(FORMATS),
        help="format; give it again for another one",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="PATH",
        help="file with the format's ending for one answer in one format, otherwise a folder",
    )
    parser.add_argument(
        "--slide",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="slides or folders of images that were classified, for pictures and reports; "
        "each answer takes its own by fingerprint",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="file of the features that the only answer was made of, for the matrix X of h5ad",
    )
    _add_choices(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per file")
    parser.set_defaults(run=run)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--column", metavar="NAME", help="column that pictures colour (default: a score)"
    )
    parser.add_argument(
        "--scale",
        type=ScaleMode,
        choices=tuple(ScaleMode),
        help="scale of the colours (default: scores as they are, attention by rank)",
    )
    parser.add_argument(
        "--objects",
        type=ObjectKind,
        choices=tuple(ObjectKind),
        default=ObjectKind.TILE,
        help="what tiles are in QuPath (default: tile; annotations can be edited, but are slow)",
    )
    parser.add_argument(
        "--corner",
        type=Corner,
        choices=tuple(Corner),
        default=Corner.STORED,
        help="corner that GeoJSON counts from: of the stored part (QuPath's default), or of the "
        "whole canvas (QuPath with Bio-Formats or --no-crop)",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="leave out the names of slides and images; files are called after the fingerprint",
    )
    parser.add_argument(
        "--with-label",
        action="store_true",
        help="show the slide's label and macro image in a report; they may name the patient",
    )


@dataclass(frozen=True)
class _Task:
    """One answer in one format."""

    folder: Path
    card: FormatCard


def run(arguments: argparse.Namespace) -> int:
    """Write every answer in every format and return the exit code.

    Returns
    -------
    int
        0, or 3 where some or all of several exports failed.

    Raises
    ------
    NapariMilError
        If the only input is at fault.
    """
    cards = [FORMATS[name] for name in dict.fromkeys(arguments.format)]
    folders = _prediction_folders(arguments.predictions)
    tasks = [_Task(folder, card) for folder in folders for card in cards]
    failures = Failures(len(tasks))
    exporter = _Exporter(arguments, is_one=len(tasks) == 1)
    for task in tasks:
        failures.attempt(exporter.export, task)
    if failures.count:
        sys.stderr.write(f"napari-mil: {failures.count} of {len(tasks)} exports failed.\n")
    return SOME_FAILED if failures.count else 0


def _prediction_folders(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of answers: those given, and those within folders of results."""
    folders: list[Path] = []
    for path in paths:
        within = sorted(file.parent for file in path.glob(f"*/{PREDICTION_FILE}"))
        is_answer = (path / PREDICTION_FILE).is_file()
        folders += [path] if is_answer or not within else within
    return list(dict.fromkeys(folders))


class _Exporter:
    """Writes one answer after the other."""

    def __init__(self, arguments: argparse.Namespace, *, is_one: bool) -> None:
        self._out: Path = arguments.out
        self._slides: list[Path] = arguments.slide
        self._features: Path | None = arguments.features
        self._as_json: bool = arguments.json
        self._is_one = is_one
        self._cancel: CancellationToken = cancel_on_interrupt()
        self._names: dict[Path, str] = {}
        self._choices = ExportChoices(
            column=arguments.column,
            scale=arguments.scale,
            objects=arguments.objects,
            corner=arguments.corner,
            anonymous=arguments.anonymous,
            with_label=arguments.with_label,
        )

    def export(self, task: _Task) -> None:
        """Write one answer in one format."""
        self._cancel.raise_if_cancelled()
        prediction = Prediction.load(task.folder)
        if self._features is not None:
            prediction = with_features(prediction, read_bag(self._features))
        target = self._target(task, prediction)
        with self._pixels_of(prediction, task.folder) as pixels:
            remarks = export_prediction(
                prediction,
                task.card.name,
                target,
                pixels=pixels,
                choices=self._choices,
                cancel=self._cancel,
            )
        self._report(task, target, remarks)

    def _target(self, task: _Task, prediction: Prediction) -> Path:
        """Return the path to write: the one given, or one in the folder given."""
        if self._is_one and self._out.name.endswith(task.card.suffixes):
            return self._out
        if self._out.exists() and not self._out.is_dir():
            raise OutputError(
                f"{self._out} is no folder and does not end with "
                f"{' or '.join(task.card.suffixes)}; give another --out."
            )
        if task.folder not in self._names:
            self._names[task.folder] = self._free_name(task.folder, prediction)
        return self._out / f"{self._names[task.folder]}{task.card.suffixes[0]}"

    def _free_name(self, folder: Path, prediction: Prediction) -> str:
        """Return a name that no other answer of this run has."""
        name = folder.absolute().name
        if self._choices.anonymous:
            kind = "slide" if "dimensions" in prediction.slide else "bag"
            name = f"{kind}-{str(prediction.slide.get('fingerprint', ''))[:8]}"
        taken = set(self._names.values())
        names = (name, *(f"{name}-{k}" for k in range(2, len(taken) + 3)))
        return next(each for each in names if each not in taken)

    @contextmanager
    def _pixels_of(self, prediction: Prediction, folder: Path) -> Iterator[Slide | ImageBag | None]:
        """Open the slide or the images of an answer for a while."""
        if not self._slides:
            yield None
            return
        with self._find(prediction, folder) as target:
            if not isinstance(target.content, (Slide, ImageBag)):
                raise NapariMilError(
                    f"{target.path.name} is a file of features, which shows nothing; "
                    "give the slide itself by --slide."
                )
            yield target.content

    def _find(self, prediction: Prediction, folder: Path) -> Target:
        """Open the slide of an answer: the only one, or the one with its fingerprint."""
        if len(self._slides) == 1:
            return open_target(self._slides[0])
        name = prediction.slide.get("name")
        # Its namesake first: fingerprints of many slides take a while.
        for path in sorted(self._slides, key=lambda path: path.stem != name):
            target = open_target(path)
            if target.identity.fingerprint == prediction.slide.get("fingerprint"):
                return target
            target.close()
        raise NapariMilError(
            f"None of the {len(self._slides)} slides is the one that {folder.name} was made of; "
            "give it by --slide."
        )

    def _report(self, task: _Task, target: Path, remarks: tuple[str, ...]) -> None:
        for remark in remarks:
            print_line(f"{task.folder.name}: {remark}", sys.stderr)
        if self._as_json:
            facts = {
                "prediction": str(task.folder),
                "format": task.card.name,
                "path": str(target),
                "remarks": list(remarks),
            }
            print_line(json.dumps(facts, ensure_ascii=False))
        else:
            print_line(f"{task.folder.name}: {task.card.title} → {target}")
