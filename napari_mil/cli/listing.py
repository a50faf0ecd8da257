"""``napari-mil list``: slides, encoders, aggregators or classifiers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_mil.aggregators import list_aggregators
from napari_mil.cli.output import print_line
from napari_mil.encoders import list_encoders
from napari_mil.encoders.cards import EncoderCard
from napari_mil.errors import NapariMilError
from napari_mil.inference.library import list_classifiers
from napari_mil.slides import SLIDE_EXTENSIONS, Slide, open_slide
from napari_mil.slides.folders import slides_below


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "list",
        help="list slides, encoders, aggregators or classifiers",
        description="List slides of a folder, or what a classifier can be made of.",
    )
    parser.add_argument("what", choices=tuple(LISTINGS))
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        help="for slides: where to look, subfolders included (default: here)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one row per entry, or that there is none."""
    rows = LISTINGS[arguments.what](arguments.folder)
    if arguments.json:
        print_line(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            print_line(f"{row['name']:{width}}  {row['about']}")
    else:
        print_line(f"No {arguments.what} found.")
    return 0


def _slides(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise NapariMilError(f"{folder} is no folder; give one that holds slides.")
    rows = []
    for path in slides_below(folder, SLIDE_EXTENSIONS):
        try:
            with open_slide(path) as slide:
                about = _describe_slide(slide)
        except NapariMilError as error:
            about = f"cannot be opened: {error}"
        rows.append({"name": str(path.relative_to(folder)), "about": about})
    return rows


def _describe_slide(slide: Slide) -> str:
    width, height = slide.dimensions
    levels = "1 level" if slide.level_count == 1 else f"{slide.level_count} levels"
    scale = f"{slide.mpp:.4g} µm/px" if slide.mpp else f"no mpp ({slide.mpp_source})"
    return f"{width} × {height}, {levels}, {scale}, {slide.vendor}"


def _encoders(_: Path) -> list[dict[str, Any]]:
    return [
        {
            "name": card.name,
            "about": (f"{card.dim} features, {_state(card)}; {card.source}; {card.licence}"),
        }
        for card in list_encoders().values()
    ]


def _state(card: EncoderCard) -> str:
    """Return what an encoder needs, or why it needs nothing."""
    if card.folder is not None:
        return "yours"
    return card.needs or "embedded"


def _aggregators(_: Path) -> list[dict[str, Any]]:
    return [
        {"name": card.name, "about": f"{card.title} ({card.source})"}
        for card in list_aggregators().values()
    ]


def _classifiers(_: Path) -> list[dict[str, Any]]:
    return [
        {
            "name": card.name,
            "about": f"{card.title} ({' / '.join(card.classes)}; {card.takes}; {card.licence})",
        }
        for card in list_classifiers().values()
    ]


LISTINGS = {
    "slides": _slides,
    "encoders": _encoders,
    "aggregators": _aggregators,
    "classifiers": _classifiers,
}
"""Functions that return rows of ``name`` and ``about``, by what is listed."""
