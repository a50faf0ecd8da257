"""``napari-mil embed``: features of slides, without a classifier."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mil.bags.grid import TileSpec
from napari_mil.cli.classify import add_tiling, cancel_on_interrupt
from napari_mil.cli.exit_codes import SOME_FAILED
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.cli.words import REMEDIES
from napari_mil.encoders.cards import EncoderCard
from napari_mil.encoders.catalogue import find_encoder_card
from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import CancellationToken, Fallback
from napari_mil.inference.feature_files import EmbedRequest, FeatureFile, FeatureStore
from napari_mil.inference.results import ResultStore
from napari_mil.slides import Slide, open_slide
from napari_mil.slides.folders import one_of_each_series

if TYPE_CHECKING:
    from napari_mil.encoders import Encoder


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "embed",
        help="write the features of slides, in TRIDENT's layout",
        description="Encode the tiles of slides and write their features, which TRIDENT, CLAM and "
        "other tools read, to DIR/<scale>_<tiles>_overlap/features_<encoder>/<slide>.h5. A file "
        "already made from the same slide, encoder and tiles is kept, so a run that was stopped "
        "goes on.",
    )
    parser.add_argument("slides", nargs="+", metavar="SLIDE", help="slide file, or its folder")
    parser.add_argument("--encoder", required=True, metavar="E", help="name (see 'list encoders')")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights of the encoder, where it takes some"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        help="where to compute (default: the GPU where there is one)",
    )
    add_tiling(parser, of="encoder")
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per slide on stdout"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Embed every slide and return the exit code.

    Returns
    -------
    int
        0, or 3 where some or all of several slides failed.

    Raises
    ------
    NapariMilError
        If the only input, the encoder or the output folder is at fault.
    """
    request = EmbedRequest(
        _tiles(arguments, find_encoder_card(arguments.encoder)),
        "auto" if arguments.mask == "auto" else None,
    )
    ResultStore(arguments.out).prepare()
    paths = list(one_of_each_series(Path(path) for path in arguments.slides))
    only: Slide | None = None
    if len(paths) == 1:
        # A wrong path is reported before torch is loaded, which takes two seconds.
        only = open_slide(paths[0], arguments.slide_mpp)
        request.tiles.lay(only)
    encoder = _encoder(arguments)
    store = FeatureStore(arguments.out)
    cancel = cancel_on_interrupt()
    failed = 0
    for path in paths:
        try:
            with only or open_slide(path, arguments.slide_mpp) as slide:
                _embed_one(slide, encoder, request, arguments, store, cancel)
        except CancelledError:
            raise
        except NapariMilError as error:
            if only is not None:
                raise
            failed += 1
            sys.stderr.write(f"napari-mil: {error.worded(REMEDIES)}\n")
    if failed:
        sys.stderr.write(f"napari-mil: {failed} of {len(paths)} slides failed.\n")
    return SOME_FAILED if failed else 0


def _tiles(arguments: argparse.Namespace, card: EncoderCard) -> TileSpec:
    """Return the tiles that the options ask for.

    Raises
    ------
    NapariMilError
        If options contradict each other, or the encoder takes no such tiles.
    """
    if arguments.level is not None and arguments.mpp is not None:
        raise NapariMilError(
            "Tiles have the scale of a level or one of their own: give --level or --mpp, not both."
        )
    px = card.tile_px if arguments.tile_px is None else arguments.tile_px
    if px < card.smallest_tile:
        raise NapariMilError(
            f"The encoder {card.name} takes tiles of at least {card.smallest_tile} px, not {px}; "
            "give a larger --tile-px."
        )
    mpp = card.mpp if arguments.mpp is None else arguments.mpp
    return TileSpec(px, mpp, level=arguments.level)


def _encoder(arguments: argparse.Namespace) -> Encoder:
    """Load the encoder; torch is loaded with it."""
    from napari_mil.encoders import create_encoder
    from napari_mil.inference.devices import choose_device

    progress = ProgressPrinter(arguments.encoder)
    device = choose_device(arguments.device, progress)
    return create_encoder(arguments.encoder, arguments.weights, device)


def _embed_one(
    slide: Slide,
    encoder: Encoder,
    request: EmbedRequest,
    arguments: argparse.Namespace,
    store: FeatureStore,
    cancel: CancellationToken,
) -> None:
    """Embed a slide and print what came of it."""
    progress = ProgressPrinter(slide.path.name, quiet=arguments.quiet or arguments.json)
    if slide.channels:
        progress(Fallback("A fluorescence slide: its channels are rendered to RGB."))
    try:
        written = store.embed(slide, encoder, request, progress, cancel)
    finally:
        progress.close()
    _report(slide, written, encoder, as_json=arguments.json)


def _report(slide: Slide, written: FeatureFile, encoder: Encoder, *, as_json: bool) -> None:
    """Print the line or the JSON object of a slide."""
    if as_json:
        facts = {
            "slide": slide.name,
            "path": str(written.path),
            "kept": written.kept,
            "n_instances": written.n_instances,
            "dim": encoder.dim,
            "encoder": encoder.name,
            "seconds": round(written.seconds, 3),
        }
        print_line(json.dumps(facts, ensure_ascii=False))
        return
    state = "kept, already made" if written.kept else f"{written.seconds:.1f} s"
    plural = "" if written.n_instances == 1 else "s"
    print_line(
        f"{slide.name}: {written.n_instances} tile{plural} × {encoder.dim}, {state} "
        f"→ {written.path}"
    )
