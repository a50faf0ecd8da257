"""Annotated folders made of real data, for the documentation and the tests of training.

python -m scripts.cohorts DATA OUT    where DATA holds breast/, colon/ and slides/
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import shapely
import tifffile

from napari_mil.annotations import Region, write_geojson
from napari_mil.slides import open_slide

COLON_MPP, BREAST_MPP = 0.55, 0.25
NUCLEUS_PX = 12
"""Half the side of the square around an annotated nucleus."""
SLIDES = {
    "cmu-1": "svs/CMU-1-Small-Region.svs",
    "tcga-cr-7395": "svs/TCGA-CR-7395-01A-01-TS1.svs",
    "tcga-ht-7470": "plain/TCGA-HT-7470-DX4-roi.png",
}
MOST_REGIONS = 40
REGION_PX = 256


def breast(data: Path, out: Path, some: int = 1) -> Path:
    """Every `some`-th of the benign and malignant pictures; the acquisition stands for the patient."""
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
    return _table(out, rows)


def colon(data: Path, out: Path, some: int = 1) -> Path:
    """Every `some`-th picture, with and without epithelial nuclei; squares around annotated epithelial nuclei are their regions."""
    out.mkdir(parents=True)
    nuclei: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    with (data / "nuclei.csv").open(newline="") as file:
        for entry in csv.DictReader(file):
            nuclei[entry["image"]].append(
                (float(entry["x"]) - 1, float(entry["y"]) - 1, entry["class"])
            )
    for name in sorted(nuclei, key=lambda key: int(key.removeprefix("img")))[::some]:
        found = [(x, y) for x, y, kind in nuclei[name] if kind == "epithelial"]
        folder = out / ("epithelium" if found else "no-epithelium")
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.jpg").symlink_to((data / f"{name}.jpg").absolute())
        if found:
            squares = shapely.union_all(
                [
                    shapely.box(x - NUCLEUS_PX, y - NUCLEUS_PX, x + NUCLEUS_PX, y + NUCLEUS_PX)
                    for x, y in found
                ]
            )
            write_geojson(
                [Region(part, "epithelium") for part in shapely.get_parts(squares)],
                folder / f"{name}.geojson",
            )
    return out


def regions(data: Path, out: Path, some: int = 1) -> Path:
    """Regions cut from several slides, three classes: which slide a region comes from. What is learnt is staining and scanner, and nothing else."""
    for name, file in SLIDES.items():
        (out / name).mkdir(parents=True)
        cut = 0
        with open_slide(data / file) as slide:
            width, height = slide.dimensions
            for y in range(0, height - REGION_PX + 1, REGION_PX):
                for x in range(0, width - REGION_PX + 1, REGION_PX):
                    pixels = slide.read_region((x, y), 0, (REGION_PX, REGION_PX))
                    if (
                        cut < MOST_REGIONS // some and (pixels.min(2) < 200).mean() >= 0.3
                    ):  # not glass
                        target = out / name / f"{name}_{x}_{y}.tiff"
                        tifffile.imwrite(
                            target,
                            np.ascontiguousarray(pixels),
                            photometric="rgb",
                            tile=(128, 128),
                            compression="deflate",
                        )
                        cut += 1
    return out


def sample_regions(out: Path, side: int = 512, each: int = 12) -> Path:
    """Regions of the sample slide in two classes, by where they lie: nothing to learn, everything to look at."""
    from napari_mil.gui.samples import SLIDE, sample_path

    with open_slide(sample_path(SLIDE)) as slide:
        for k in range(2 * each):
            name = ("left", "right")[k % 2]
            (out / name).mkdir(parents=True, exist_ok=True)
            pixels = slide.read_region((300 + 800 * (k % 2), 100 + 200 * (k // 2)), 0, (side, side))
            resolution = {
                "resolution": (2e4, 2e4),
                "resolutionunit": "CENTIMETER",
            }  # 0.5 µm per pixel
            tifffile.imwrite(
                out / name / f"region{k:02d}.tiff",
                pixels,
                photometric="rgb",
                tile=(128, 128),
                compression="deflate",
                **resolution,
            )
    return out


def _table(out: Path, rows: list[dict[str, str]]) -> Path:
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["slide", "label", "patient"])
        writer.writeheader()
        writer.writerows(rows)
    return out


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    for path in (
        breast(source / "breast", target / "breast"),
        colon(source / "colon", target / "colon"),
        regions(source / "slides", target / "regions"),
    ):
        print(path)
