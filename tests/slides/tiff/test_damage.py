"""Damaged files: what is broken is noticed, named and bounded."""

import resource

import numpy as np
import openslide
import pytest
import tifffile

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide
from tests.slides.tiff.philips_files import description, picture, write_philips

DAMAGED_TILES = 200
MEMORY = 1_500_000_000
"""More than a damaged file may ever make a reader allocate beyond what is in use, bytes."""


@pytest.fixture
def bounded_memory():
    """Let allocations fail that a damaged header asks for."""
    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def notices(read):
    try:
        return read()
    except (UnreadableSlideError, openslide.OpenSlideError):
        return True


def test_damaged_jpeg_tiles_are_noticed_at_least_as_often_as_by_openslide(slide_path, tmp_path):
    content = slide_path.read_bytes()
    with tifffile.TiffFile(slide_path) as file:
        page = file.pages.first
        offsets = page.dataoffsets
        counts = page.databytecounts
        across = -(-page.imagewidth // page.tilewidth)
        tile = page.tilewidth
        dimensions = (page.imagewidth, page.imagelength)
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.svs"
    noticed = {"ours": 0, "openslide": 0}
    for index in random.integers(len(offsets), size=DAMAGED_TILES).tolist():
        damaged = bytearray(content)
        for _ in range(random.integers(1, 9)):
            damaged[offsets[index] + random.integers(counts[index])] ^= random.integers(1, 256)
        path.write_bytes(damaged)
        row, column = divmod(index, across)
        at = (column * tile, row * tile)
        size = tuple(min(tile, dimensions[k] - at[k]) for k in range(2))

        def ours(at=at, size=size):
            with open_slide(path) as slide:
                slide.read_region(at, 0, size)
                return bool(slide.damage)

        def theirs(at=at, size=size):
            with openslide.OpenSlide(path) as slide:
                slide.read_region(at, 0, size)
                return False

        noticed["ours"] += notices(ours)
        noticed["openslide"] += notices(theirs)
    assert noticed["openslide"] > DAMAGED_TILES / 2, "the damage is real"
    assert noticed["ours"] >= noticed["openslide"]


def small_files(noise):
    pixels = noise[:200, :150]
    return {
        "jpeg": {"photometric": "ycbcr", "tile": (64, 64), "compression": "jpeg", "data": pixels},
        "deflate": {
            "photometric": "rgb",
            "tile": (64, 64),
            "compression": "deflate",
            "data": pixels,
        },
        "strips": {"photometric": "rgb", "rowsperstrip": 50, "data": pixels},
        "fluorescence.ome": {"data": np.moveaxis(pixels, -1, 0), "metadata": {"axes": "CYX"}},
        "jpeg2000": {
            "photometric": "rgb",
            "tile": (64, 64),
            "compression": "jpeg2000",
            "data": pixels,
        },
    }


def write_small(kind, noise, path):
    if kind == "philips":
        label = picture("LABELIMAGE", noise[:20, :30])
        write_philips(path, (1, 2), xml=description((1, 2), [label]))
    else:
        tifffile.imwrite(path, **small_files(noise)[kind])


@pytest.mark.parametrize(
    "kind", ["jpeg", "deflate", "strips", "fluorescence.ome", "jpeg2000", "philips"]
)
def test_any_change_of_a_file_is_read_or_refused_in_one_sentence(
    tmp_path, noise, kind, bounded_memory
):
    path = tmp_path / f"{kind}.tif"
    write_small(kind, noise, path)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for turn in range(150):
        damaged = bytearray(content)
        if turn % 3 == 0:
            damaged = damaged[: random.integers(len(damaged))]
        else:
            # Headers, directories and tile lists of small files stand in their first part.
            reach = 1500 if turn % 3 == 1 else len(damaged)
            for _ in range(random.integers(1, 6)):
                damaged[random.integers(min(reach, len(damaged)))] = random.integers(256)
        path.write_bytes(damaged)
        sentence = refusal_of(path)
        if sentence is not None:
            refused += 1
            assert "\n" not in sentence
            assert path.name in sentence
    assert refused > 10


def refusal_of(path):
    """Read some of a slide; return why it was refused, or None."""
    try:
        with open_slide(path) as slide:
            width, height = slide.dimensions
            slide.read_region((0, 0), 0, (min(width, 200), min(height, 200)))
            slide.read_region((width - 9, height - 9), slide.level_count - 1, (20, 20))
            for name in slide.associated_images:
                slide.associated_images[name]
    except UnreadableSlideError as error:
        return str(error)
    return None


def test_a_directory_that_leads_back_to_itself_is_no_endless_loop(tmp_path, noise):
    path = tmp_path / "loop.tif"
    tifffile.imwrite(path, noise[:100, :100], photometric="rgb", byteorder="<", metadata=None)
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[start : start + 2], "little")
    end = start + 2 + 12 * entries
    content[end : end + 4] = start.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UnreadableSlideError, match=r"loop\.tif.*lead back"):
        open_slide(path)


def test_a_size_that_its_tiles_cannot_fill_is_refused(tmp_path, noise):
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, noise[:128, :128], photometric="rgb", tile=(64, 64))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags["ImageWidth"].overwrite(2_000_000_000)
    with pytest.raises(UnreadableSlideError, match=r"huge\.tif.*4 tiles where its size needs"):
        open_slide(path)
