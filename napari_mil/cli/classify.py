"""``napari-mil classify``: answers of a classifier for slides or bags."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from napari_mil.bags.grid import TileSpec
from napari_mil.cli.exit_codes import SOME_FAILED
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.cli.words import REMEDIES
from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.inference.card import TILES, ClassifierCard
from napari_mil.inference.library import find_card
from napari_mil.inference.results import ClassifyRequest, Outcome, ResultMaker, ResultStore
from napari_mil.settings import Settings
from napari_mil.slides.folders import one_of_each_series

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "classify",
        help="classify slides, write prediction.json and instances.csv",
        description="Classify slides. Results go to DIR/<name of the slide>/; one already made "
        "from the same slide, classifier and grid is kept.",
    )
    parser.add_argument(
        "slides", nargs="+", metavar="SLIDE", help="slide file, folder of images, or feature file"
    )
    parser.add_argument(
        "--classifier",
        required=True,
        metavar="C",
        help="name (see 'list classifiers') or folder of a bundle",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        help="where to compute (default: the GPU where there is one)",
    )
    add_tiling(parser)
    parser.add_argument(
        "--tile-size0",
        type=float,
        metavar="PX",
        help="side of a tile in level-0 pixels, where a feature file does not say it",
    )
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="leave the slide's name out of the results; "
        "their folder is called after its fingerprint",
    )
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="encode anew and keep no features (see 'napari-mil cache')",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per slide on stdout"
    )
    parser.set_defaults(run=run)


def add_tiling(parser: argparse.ArgumentParser, of: str = "classifier") -> None:
    """Add the options of tiles and their scale, which are those `of` something by default."""
    parser.add_argument(
        "--slide-mpp",
        type=float,
        metavar="MPP",
        help="µm per level-0 pixel, where the file says none or a wrong one",
    )
    parser.add_argument("--mpp", type=float, help=f"µm per pixel of a tile (default: the {of}'s)")
    parser.add_argument(
        "--level", type=int, metavar="K", help="take tiles from this stored level at any scale"
    )
    parser.add_argument(
        "--tile-px",
        type=int,
        metavar="PX",
        help=f"side of a tile in pixels (default: the {of}'s)",
    )
    parser.add_argument(
        "--mask",
        default="auto",
        choices=("auto", "none"),
        help="detect tissue, or take the whole slide",
    )


def run(arguments: argparse.Namespace) -> int:
    """Classify every slide and return the exit code.

    Returns
    -------
    int
        0, or 3 where some or all of several slides failed.

    Raises
    ------
    NapariMilError
        If the only input is at fault.
    """
    card = find_card(arguments.classifier)
    request = request_of(arguments, card)
    store = ResultStore(arguments.out)
    store.prepare()
    paths = list(one_of_each_series(Path(path) for path in arguments.slides))
    failures = Failures(len(paths))
    cancel = cancel_on_interrupt()
    maker = ResultMaker(card, request, store, arguments.slide_mpp, arguments.tile_size0)
    for path in paths:
        failures.attempt(_classify_one, path, maker, cancel, as_json=arguments.json)
    if failures.count:
        sys.stderr.write(f"napari-mil: {failures.count} of {len(paths)} slides failed.\n")
    return SOME_FAILED if failures.count else 0


@dataclass
class Failures:
    """Count of the slides that failed, each named on stderr; the only one is raised."""

    total: int
    """Slides in all."""
    count: int = 0

    def attempt(
        self,
        work: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result | None:
        """Return the result of some work, or count its failure and return None.

        Raises
        ------
        CancelledError
            If the run was cancelled.
        NapariMilError
            If there is one slide only.
        """
        try:
            return work(*arguments, **named)
        except CancelledError:
            raise
        except NapariMilError as error:
            if self.total == 1:
                raise
            self.count += 1
            sys.stderr.write(f"napari-mil: {error.worded(REMEDIES)}\n")
        return None


def request_of(arguments: argparse.Namespace, card: ClassifierCard) -> ClassifyRequest:
    """Turn the options into a request.

    Raises
    ------
    NapariMilError
        If options contradict each other.
    """
    if arguments.level is not None and arguments.mpp is not None:
        raise NapariMilError(
            "Tiles have the scale of a level or one of their own: give --level or --mpp, not both."
        )
    tiles = None
    if card.instances == TILES:
        own = card.tiling
        px = own.px if arguments.tile_px is None else arguments.tile_px
        mpp = own.mpp if arguments.mpp is None else arguments.mpp
        tiles = TileSpec(px, mpp, own.overlap, arguments.level)
    return ClassifyRequest(
        tiles,
        "auto" if arguments.mask == "auto" else None,
        arguments.device,
        getattr(arguments, "anonymous", False),
        Settings(cache_gb=0) if arguments.no_cache else Settings(),
    )


def _classify_one(
    path: Path, maker: ResultMaker, cancel: CancellationToken, *, as_json: bool
) -> None:
    name = "slide" if maker.request.anonymous else path.name
    progress = ProgressPrinter(name, quiet=as_json)
    try:
        outcome = maker.make(path, progress, cancel)
    finally:
        progress.close()
    _report(outcome, as_json=as_json)


def cancel_on_interrupt() -> CancellationToken:
    """Return a token that the first Ctrl-C cancels.

    The second Ctrl-C ends the process at once.
    """
    token = CancellationToken()

    def interrupt(*_: object) -> None:
        token.cancel()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, interrupt)
    return token


def _report(outcome: Outcome, *, as_json: bool) -> None:
    prediction = outcome.prediction
    if as_json:
        facts = {"folder": str(outcome.folder), "kept": outcome.kept, **prediction.as_dict()}
        print_line(json.dumps(facts, ensure_ascii=False))
        return
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    probabilities = ", ".join(f"{name} {p:.2f}" for name, p in pairs)
    label = prediction.label
    if label is None:
        label = ", ".join(prediction.labels) or "none"
    state = f"{prediction.provenance['seconds']:.1f} s"
    if prediction.provenance.get("from_cache"):
        state += ", features from the cache"
    if outcome.kept:
        state = "kept, already made"
    unit = "tile" if prediction.coords is not None else "instance"
    plural = "" if prediction.n_instances == 1 else "s"
    print_line(
        f"{outcome.folder.name}: {label} ({probabilities}; "
        f"{prediction.n_instances} {unit}{plural}, {state}) → {outcome.folder}"
    )
