"""Annotated folders of real data, for documentation and tests.

python -m scripts.cohorts DATA OUT    where DATA holds breast/, colon/ and slides/
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import tifffile

from napari_mil.annotations import Region, write_geojson
from napari_mil.slides import Slide, open_slide

NUCLEUS_PX = 12
"""Half the side of the square around an annotated nucleus."""
SLIDES = {
    "cmu-1": "svs/CMU-1-Small-Region.svs",
    "tcga-cr-7395": "svs/TCGA-CR-7395-01A-01-TS1.svs",
    "tcga-ht-7470": "plain/TCGA-HT-7470-DX4-roi.png",
}
MOST_REGIONS = 40
"""Most regions cut from one slide."""
REGION_PX = 256
"""Side of a region, px."""


def breast(data: Path, out: Path, some: int = 1) -> Path:
    """Link every `some`-th benign and malignant picture.

    The acquisition stands for the patient.
    """
    out.mkdir(parents=True)
    rows = []
    with (data / "images.csv").open(newline="") as file:
        for entry in list(csv.DictReader(file))[::some]:
            target = out / entry["label"] / Path(entry["file"]).name
            target.parent.mkdir(exist_ok=True)
            target.symlink_to((data / entry["file"]).absolute())
            rows.append(
                {
                    "slide": f"{entry['label']}/{target.name}",
                    "label": entry["label"],
                    "patient": entry["acquisition"],
                }
            )
    return _write_labels(out, rows)


def colon(data: Path, out: Path, some: int = 1) -> Path:
    """Link every `some`-th picture, with or without epithelial nuclei.

    Squares around annotated epithelial nuclei are the regions of a picture.
    """
    out.mkdir(parents=True)
    nuclei: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    with (data / "nuclei.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            nuclei[entry["image"]].append(
                (float(entry["x"]) - 1, float(entry["y"]) - 1, entry["class"])
            )
    for name in sorted(nuclei, key=lambda key: int(key.removeprefix("img")))[::some]:
        centres = [(x, y) for x, y, kind in nuclei[name] if kind == "epithelial"]
        folder = out / ("epithelium" if centres else "no-epithelium")
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.jpg").symlink_to((data / f"{name}.jpg").absolute())
        if centres:
            squares = shapely.union_all(
                [
                    shapely.box(x - NUCLEUS_PX, y - NUCLEUS_PX, x + NUCLEUS_PX, y + NUCLEUS_PX)
                    for x, y in centres
                ]
            )
            write_geojson(
                [Region(part, "epithelium") for part in shapely.get_parts(squares)],
                folder / f"{name}.geojson",
            )
    return out


def regions(data: Path, out: Path, some: int = 1) -> Path:
    """Cut regions from several slides; the slide is the class.

    A classifier learns staining and scanner from them, and nothing else.
    """
    for name, file in SLIDES.items():
        (out / name).mkdir(parents=True)
        with open_slide(data / file) as slide:
            tissue = _tissue_regions(slide)
            for (x, y), pixels in islice(tissue, MOST_REGIONS // some):
                _write_region(out / name / f"{name}_{x}_{y}.tiff", pixels)
    return out


def _tissue_regions(slide: Slide) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield corner and pixels of regions that are not glass."""
    width, height = slide.dimensions
    for y in range(0, height - REGION_PX + 1, REGION_PX):
        for x in range(0, width - REGION_PX + 1, REGION_PX):
            pixels = slide.read_region((x, y), 0, (REGION_PX, REGION_PX))
            if (pixels.min(2) < 200).mean() >= 0.3:
                yield (x, y), pixels


def _write_region(path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Write RGB pixels as a tiled TIFF."""
    tifffile.imwrite(
        path,
        np.ascontiguousarray(pixels),
        photometric="rgb",
        tile=(128, 128),
        compression="deflate",
        **options,
    )


def sample_regions(out: Path, side: int = 512, each: int = 12) -> Path:
    """Cut regions of the sample slide in two classes, left and right.

    They show how training looks; there is nothing to learn from them.
    """
    from napari_mil.gui.samples import SLIDE, sample_path

    with open_slide(sample_path(SLIDE)) as slide:
        for k in range(2 * each):
            name = ("left", "right")[k % 2]
            (out / name).mkdir(parents=True, exist_ok=True)
            pixels = slide.read_region((300 + 800 * (k % 2), 100 + 200 * (k // 2)), 0, (side, side))
            # 20 000 pixels per cm are 0.5 µm per pixel.
            _write_region(
                out / name / f"region{k:02d}.tiff",
                pixels,
                resolution=(2e4, 2e4),
                resolutionunit="CENTIMETER",
            )
    return out


def _write_labels(out: Path, rows: list[dict[str, str]]) -> Path:
    """Write the table of slides, labels and patients into a folder."""
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["slide", "label", "patient"])
        writer.writeheader()
        writer.writerows(rows)
    return out


if __name__ == "__main__":
    source = Path(sys.argv[1])
    target = Path(sys.argv[2])
    for path in (
        breast(source / "breast", target / "breast"),
        colon(source / "colon", target / "colon"),
        regions(source / "slides", target / "regions"),
    ):
        print(path)
