"""``napari-mil classify SLIDE… --classifier C --out DIR``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from napari_mil.bags.readers import is_bag
from napari_mil.cli.output import say
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.cli.results import prepare_output, result_folder
from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.inference.card import find_card
from napari_mil.inference.prediction import Prediction
from napari_mil.slides import open_slide


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "classify",
        help="classify slides, write prediction.json and instances.csv",
        description="Classify slides. Results go to DIR/<name of the slide>/; one already made from the same slide, classifier and grid is kept.",
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
        "--anonymous",
        action="store_true",
        help="leave the slide's name out of the results; their folder is called after its fingerprint",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per slide on stdout"
    )
    parser.set_defaults(run=run)


def add_tiling(parser: argparse.ArgumentParser) -> None:
    """Add the options that every verb with tiles takes."""
    parser.add_argument(
        "--slide-mpp",
        type=float,
        metavar="MPP",
        help="µm per level-0 pixel, where the file says none or a wrong one",
    )
    parser.add_argument(
        "--mpp", type=float, help="µm per pixel of a tile (default: the classifier's)"
    )
    parser.add_argument(
        "--level",
        type=int,
        metavar="K",
        help="take tiles from this stored level whatever its scale",
    )
    parser.add_argument(
        "--tile-px",
        type=int,
        metavar="PX",
        help="side of a tile in pixels (default: the classifier's)",
    )
    parser.add_argument(
        "--mask",
        default="auto",
        choices=("auto", "none"),
        help="detect tissue, or take the whole slide",
    )


def run(arguments: argparse.Namespace) -> int:
    """Classify every slide; 0, 2 (the only input failed) or 3 (of several, some or all failed)."""
    card = find_card(arguments.classifier)
    prepare_output(arguments.out)
    from napari_mil.inference.classifier import (
        load_classifier,
    )  # torch loads only once the arguments are right

    if len(arguments.slides) == 1:  # a typing error is said before two seconds of loading
        only = Path(arguments.slides[0])
        if not is_bag(only):
            open_slide(only, arguments.slide_mpp).close()
    classifier = load_classifier(card)
    cancel = cancel_on_interrupt()
    failed = 0
    taken: dict[Path, str] = {}
    for path in arguments.slides:
        try:
            _classify_one(path, classifier, arguments, cancel, taken)
        except CancelledError:
            raise
        except NapariMilError as error:
            if len(arguments.slides) == 1:
                raise
            failed += 1
            sys.stderr.write(f"napari-mil: {error}\n")
    if failed:
        sys.stderr.write(f"napari-mil: {failed} of {len(arguments.slides)} slides failed.\n")
    return 3 if failed else 0


def _classify_one(
    path: str,
    classifier: Any,
    arguments: argparse.Namespace,
    cancel: CancellationToken,
    taken: dict[Path, str],
) -> None:
    from napari_mil.inference.pipeline import classify, plan_tiles

    if is_bag(Path(path)):
        _classify_bag(Path(path), classifier, arguments, cancel, taken)
        return
    with open_slide(path, arguments.slide_mpp) as slide:
        name = f"slide-{slide.fingerprint[:8]}" if arguments.anonymous else slide.name
        mask: Any = "auto" if arguments.mask == "auto" else None
        plan = plan_tiles(
            slide,
            classifier.card,
            mask,
            tile_px=arguments.tile_px,
            mpp=arguments.mpp,
            level=arguments.level,
            cancel=cancel,
        )
        folder, earlier = result_folder(arguments.out, name, slide.fingerprint, taken)
        taken[folder] = slide.fingerprint
        if earlier is not None and _same_work(earlier, classifier, plan.grid):
            _report(earlier, folder, arguments.json, kept=True)
            return
        progress = ProgressPrinter(name, quiet=arguments.json)
        try:
            prediction = classify(
                slide,
                classifier,
                device=arguments.device,
                grid=plan.grid,
                mask=plan.tissue,
                on_event=progress,
                cancel=cancel,
            )
        finally:
            progress.close()
        prediction = prediction.anonymous() if arguments.anonymous else prediction
        prediction.save(folder)
        _report(prediction, folder, arguments.json, kept=False)


def _classify_bag(
    path: Path,
    classifier: Any,
    arguments: argparse.Namespace,
    cancel: CancellationToken,
    taken: dict[Path, str],
) -> None:
    """Classify a folder of images or a feature file."""
    from napari_mil.inference.pipeline import bag_facts, classify, open_target

    target: Any = open_target(path)
    facts = bag_facts(path, target)
    name = f"bag-{facts['fingerprint'][:8]}" if arguments.anonymous else facts["name"]
    folder, earlier = result_folder(arguments.out, name, facts["fingerprint"], taken)
    taken[folder] = facts["fingerprint"]
    if earlier is not None and earlier.classifier.get("fingerprint") == classifier.fingerprint:
        _report(earlier, folder, arguments.json, kept=True)
        return
    progress = ProgressPrinter(name, quiet=arguments.json)
    try:
        prediction = classify(
            path, classifier, device=arguments.device, on_event=progress, cancel=cancel
        )
    finally:
        progress.close()
    prediction = prediction.anonymous() if arguments.anonymous else prediction
    prediction.save(folder)
    _report(prediction, folder, arguments.json, kept=False)


def cancel_on_interrupt() -> CancellationToken:
    """Return a token that the first Ctrl-C sets; the second one ends the process at once."""
    token = CancellationToken()

    def interrupt(*_: object) -> None:
        token.cancel()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, interrupt)
    return token


def _same_work(earlier: Prediction, classifier: Any, grid: Any) -> bool:
    same_classifier = earlier.classifier.get("fingerprint") == classifier.fingerprint
    return bool(
        same_classifier
        and earlier.provenance.get("grid", {}).get("fingerprint") == grid.fingerprint
    )


def _report(prediction: Prediction, folder: Path, as_json: bool, kept: bool) -> None:
    if as_json:
        say(
            json.dumps(
                {"folder": str(folder), "kept": kept, **prediction.as_dict()}, ensure_ascii=False
            )
        )
        return
    probabilities = ", ".join(
        f"{name} {p:.2f}"
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
    )
    label = (
        prediction.label if prediction.label is not None else ", ".join(prediction.labels) or "none"
    )
    state = "kept, already made" if kept else f"{prediction.provenance['seconds']:.1f} s"
    what = "tile" if prediction.coords is not None else "instance"
    tiles = f"{prediction.n_instances} {what}{'' if prediction.n_instances == 1 else 's'}"
    say(f"{folder.name}: {label} ({probabilities}; {tiles}, {state}) → {folder}")
