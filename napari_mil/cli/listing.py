"""``napari-mil list {slides,encoders,aggregators,classifiers}``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_mil.aggregators import list_aggregators
from napari_mil.cli.output import say
from napari_mil.encoders import list_encoders
from napari_mil.errors import NapariMilError
from napari_mil.inference.library import list_classifiers
from napari_mil.slides import SLIDE_EXTENSIONS, open_slide


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "list",
        help="list slides, encoders, aggregators or classifiers",
        description="List what is there.",
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
    """Print one row per entry; a folder without slides is said."""
    rows = LISTINGS[arguments.what](arguments.folder)
    if arguments.json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        width = max(len(row["name"]) for row in rows)
        for row in rows:
            say(f"{row['name']:{width}}  {row['about']}")
    else:
        say(f"No {arguments.what} found.")
    return 0


def _slides(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise NapariMilError(f"{folder} is no folder; give one that holds slides.")
    rows = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SLIDE_EXTENSIONS or not path.is_file():
            continue
        try:
            with open_slide(path) as slide:
                (width, height), scale = (
                    slide.dimensions,
                    f"{slide.mpp:.4g} µm/px" if slide.mpp else f"no mpp ({slide.mpp_source})",
                )
                about = f"{width} × {height}, {slide.level_count} level{'s' * (slide.level_count > 1)}, {scale}, {slide.vendor}"
        except NapariMilError as error:
            about = f"cannot be opened: {error}"
        rows.append({"name": str(path.relative_to(folder)), "about": about})
    return rows


def _encoders(_: Path) -> list[dict[str, Any]]:
    return [
        {
            "name": card.name,
            "about": f"{card.dim} features, {card.needs or 'embedded'}; {card.source}; {card.licence}",
        }
        for card in list_encoders().values()
    ]


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
