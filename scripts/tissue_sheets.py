"""Contact sheets of tissue: each picture with the outline of its mask, its method and share.

``python -m scripts.tissue_sheets FOLDER`` writes one PNG per kind of picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from napari_mil.bags import TissueMask, tissue_mask
from napari_mil.bags.segmentation import segment_tissue
from napari_mil.errors import NapariMilError
from napari_mil.findings import FindingKind
from napari_mil.slides import open_slide
from tests.bags.tissue.pictures import (
    BRIGHTFIELD_FIELDS,
    FLUORESCENCE_FIELDS,
    MADE,
    SHARED,
    SLIDES,
    bare_glass,
    sample,
    small_fields,
)

CELL = 240
"""Side of a picture on a sheet, px."""
COLUMNS = 8
PER_SHEET = 64
Entry = tuple[str, np.ndarray, np.ndarray]
"""Title, uint8 (h, w, 3), bool (h, w)."""
ENDINGS = (".jpg", ".png", ".tif", ".bmp")


def made() -> Iterator[Entry]:
    """Yield pictures made from the sample slide."""
    pictures = [(kind, make(sample())) for kind, make in MADE.items()]
    pictures += list(small_fields(sample()))
    pictures += [("bare glass", bare_glass()), ("bare glass with dust", bare_glass(dust=True))]
    for name, picture in pictures:
        found = segment_tissue(picture)
        ink = ", ink" if found.ink > 0 else ""
        title = f"{name}: {found.method}, {found.tissue.mean():.0%}{ink}"
        yield title, picture, found.tissue


def opened(paths: Iterable[Path]) -> Iterator[Entry]:
    """Yield files opened as slides; those that no backend reads are left out."""
    for path in paths:
        try:
            with open_slide(path) as slide:
                mask = tissue_mask(slide)
                picture = slide.thumbnail(mask.mask.shape[::-1])
        except NapariMilError as error:
            print(f"left out: {error}")
            continue
        yield f"{path.stem[-22:]}: {_words(mask)}", picture, mask.mask


def _words(mask: TissueMask) -> str:
    kinds = [finding.kind for finding in mask.findings]
    ink = ", ink" if FindingKind.PEN_MARKS in kinds else ""
    odd = ", odd" if FindingKind.UNUSUAL_TISSUE in kinds else ""
    return f"{mask.method}, {mask.fraction:.0%}{ink}{odd}"


def write_sheets(entries: Iterable[Entry], folder: Path, name: str) -> None:
    """Write the entries as sheets of `PER_SHEET` pictures."""
    cells = [_cell(*entry) for entry in entries]
    for k in range(0, len(cells), PER_SHEET):
        part = cells[k : k + PER_SHEET]
        rows = -(-len(part) // COLUMNS)
        sheet = Image.new("RGB", (COLUMNS * CELL, rows * CELL), (90, 90, 90))
        for i, cell in enumerate(part):
            sheet.paste(cell, (i % COLUMNS * CELL, i // COLUMNS * CELL))
        path = folder / f"{name}-{k // PER_SHEET + 1}.png"
        sheet.save(path)
        print(path)


def _cell(title: str, picture: np.ndarray, mask: np.ndarray) -> Image.Image:
    """Draw one picture, what is no tissue darkened, with the outline in green."""
    image = Image.fromarray(picture)
    image.thumbnail((CELL - 4, CELL - 18))
    small = np.asarray(Image.fromarray(mask).resize(image.size))
    pixels = np.asarray(image).copy()
    pixels[~small] = pixels[~small] * 0.7
    pixels[binary_dilation(small) & ~small] = (0, 220, 0)
    cell = Image.new("RGB", (CELL, CELL), (90, 90, 90))
    cell.paste(Image.fromarray(pixels), (2, 15))
    ImageDraw.Draw(cell).text((2, 2), title, fill=(255, 255, 0))
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_sheets(made(), folder, "made")
    if not SHARED.is_dir():
        print("The shared data is not beside this checkout: made pictures only.")
        return
    slides = [SHARED / "data/slides" / name for name in SLIDES]
    slides += sorted((SHARED / "cases/32-pen-marks").glob("*.tif"))
    write_sheets(opened(slides), folder, "slides")
    for name in (*BRIGHTFIELD_FIELDS, *FLUORESCENCE_FIELDS):
        paths = sorted(
            p for p in (SHARED / "data" / name).rglob("*") if p.suffix.lower() in ENDINGS
        )
        # Some folders hold hundreds: at most 128 are looked at, spread evenly.
        paths = paths[:: -(-len(paths) // 128)]
        write_sheets(opened(paths), folder, name.replace("/", "-"))


if __name__ == "__main__":
    main()
