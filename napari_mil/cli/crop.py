"""``napari-mil crop``: patches around the objects of images."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_mil.bags import open_image_bag
from napari_mil.bags.crops import PATCH_PX, write_crops
from napari_mil.cli.classify import cancel_on_interrupt
from napari_mil.cli.output import print_line
from napari_mil.cli.progress import ProgressPrinter
from napari_mil.events import Fallback


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser(
        "crop",
        help="cut patches around the objects of a folder of images",
        description="Cut square patches around the objects of images: nuclei, cells, embryos that "
        "stand out from their background. FOLDER is a bag of these patches, with objects.csv that "
        "says where each was.",
    )
    parser.add_argument("images", type=Path, metavar="IMAGES", help="folder of images")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder to write; must be new"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=PATCH_PX,
        metavar="PX",
        help=f"side of a patch in pixels (default {PATCH_PX})",
    )
    parser.add_argument(
        "--least-area",
        type=int,
        metavar="PX2",
        help="square pixels of an object at least (default: a 64th of a patch)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Cut the patches and return the exit code.

    Raises
    ------
    NapariMilError
        If the input is at fault or the folder cannot be written.
    """
    images = open_image_bag(arguments.images)
    progress = ProgressPrinter(images.folder.name)
    for finding in images.findings:
        progress(Fallback(f"{finding.path.name}: {finding.text}"))
    try:
        n_patches = write_crops(
            images,
            arguments.out,
            arguments.size,
            least_area=arguments.least_area,
            on_event=progress,
            cancel=cancel_on_interrupt(),
        )
    finally:
        progress.close()
    plural = "" if n_patches == 1 else "es"
    print_line(f"{n_patches} patch{plural} of {len(images)} images → {arguments.out}")
    return 0
