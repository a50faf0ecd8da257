"""Philips TIFF files with painted tiles, a colour for each."""

import base64
import io

import numpy as np
import tifffile
from PIL import Image

TILE = 64
SPACING_MM = (0.00025, 0.00024)
"""Of a row and of a column."""
SIZE = (9 * TILE, 7 * TILE)
DOWNSAMPLES = (1, 2, 4, 8)


def attribute(name, text):
    return (
        f'<Attribute Name="{name}" Group="0x301D" Element="0x1" PMSVR="IString">{text}</Attribute>'
    )


def array(name, members):
    return attribute(name, f"<Array>{''.join(members)}</Array>")


def spacing(downsample):
    row, column = (value * downsample for value in SPACING_MM)
    return attribute("DICOM_PIXEL_SPACING", f'"{row:.8f}" "{column:.8f}"')


def picture(kind, pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    data = base64.b64encode(buffer.getvalue()).decode()
    members = attribute("PIM_DP_IMAGE_TYPE", kind) + attribute("PIM_DP_IMAGE_DATA", data)
    return f'<DataObject ObjectType="DPScannedImage">{members}</DataObject>'


def description(downsamples, pictures=()):
    levels = [
        f'<DataObject ObjectType="PixelDataRepresentation">{spacing(downsample)}</DataObject>'
        for downsample in downsamples
    ]
    slide = "".join(
        (
            attribute("PIM_DP_IMAGE_TYPE", "WSI"),
            attribute("DICOM_DERIVATION_DESCRIPTION", "tiff-useBigTIFF=1-levels=40,1,2-q80"),
            spacing(1),
            array("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", levels),
        )
    )
    images = [f'<DataObject ObjectType="DPScannedImage">{slide}</DataObject>', *pictures]
    body = attribute("DICOM_MANUFACTURER", "PHILIPS") + array("PIM_DP_SCANNED_IMAGES", images)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>'
        f'<DataObject ObjectType="DPUfsImport">{body}</DataObject>'
    )


def painted(level, row, column):
    """Return a tile of a colour of its own, with a mark in one corner."""
    tile = np.full((TILE, TILE, 3), (40 + 50 * level, 20 + 25 * row, 10 + 25 * column), np.uint8)
    tile[:8, :8] = 255 - tile[:8, :8]
    return tile


def whole_level(level, shape):
    rows = [
        np.concatenate([painted(level, row, column) for column in range(shape[1])], 1)
        for row in range(shape[0])
    ]
    return np.concatenate(rows)


def write_philips(path, downsamples=DOWNSAMPLES, left_out=(), xml=None, extra=0, **options):
    """Write painted levels of whole tiles; return them as they are stored.

    `left_out` are (level, row, column) of tiles without bytes, `extra` further columns of tiles
    of the coarser levels: scanners round the sizes of a level up before they halve them.
    """
    levels = []
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for level, downsample in enumerate(downsamples):
            across, down = (-(-side // downsample // TILE) for side in SIZE)
            across += extra if level else 0
            stored = whole_level(level, (down, across))
            levels.append(stored)
            writer.write(
                stored,
                tile=(TILE, TILE),
                software="Philips DP v1.0",
                description=(xml or description(downsamples)) if level == 0 else None,
                subfiletype=int(level > 0),
                metadata=None,
                **{"photometric": "rgb", "compression": "deflate", **options},
            )
    for level in range(len(downsamples)):
        leave_out(path, level, [place[1:] for place in left_out if place[0] == level])
    return levels


def leave_out(path, level, places):
    """Take the bytes of some tiles out of a directory, as scanners do between regions."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        page = file.pages[level]
        across = -(-page.tags["ImageWidth"].value // TILE)
        for name in ("TileByteCounts", "TileOffsets"):
            values = list(page.tags[name].value)
            for row, column in places:
                values[row * across + column] = 0
            page.tags[name].overwrite(values)


def clipped(levels, downsamples=DOWNSAMPLES):
    return [
        pixels[: SIZE[1] // downsample, : SIZE[0] // downsample]
        for pixels, downsample in zip(levels, downsamples, strict=True)
    ]
