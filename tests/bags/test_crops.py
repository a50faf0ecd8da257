import csv

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.bags.crops import crop_objects, write_crops
from napari_mil.errors import BagError, CancelledError, OptionError, OutputError
from napari_mil.events import CancellationToken, Fallback

DISCS = [(40, 50, 9), (150, 60, 12), (90, 160, 7)]
"""(x, y, radius) of painted objects."""


def paint(discs=DISCS, size=(200, 220), background=0, colour=(200, 40, 10), noise=0):
    """Return an image with discs on noise, uint8 (H, W, 3)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.full((*size, 3), background, float)
    for x, y, radius in discs:
        image[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = colour
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("background", "colour"), [(0, (200, 40, 10)), (240, (120, 60, 150))])
def test_each_object_lies_in_the_middle_of_a_patch_the_largest_first(background, colour):
    image = paint(background=background, colour=colour, noise=4)
    crops = crop_objects(image, 32)
    assert np.allclose(crops.centres, [(150, 60), (40, 50), (90, 160)], atol=0.5)
    assert np.allclose(crops.areas, [np.pi * r**2 for r in (12, 9, 7)], rtol=0.15)
    assert crops.pixels.shape == (3, 32, 32, 3)
    for (x, y), patch in zip(crops.corners, crops.pixels, strict=True):
        assert np.array_equal(patch, image[y : y + 32, x : x + 32])


def test_touching_objects_are_parted():
    crops = crop_objects(paint([(60, 60, 12), (82, 60, 12)]), 24)
    assert np.allclose(sorted(crops.centres[:, 0]), [60, 82], atol=2)


def test_a_patch_at_the_edge_is_moved_inwards():
    image = paint([(3, 197, 8)])
    crops = crop_objects(image, 32)
    assert crops.corners.tolist() == [[0, 168]]
    assert np.array_equal(crops.pixels[0], image[168:, :32])


@pytest.mark.parametrize("shape", [(20, 25), (21, 90), (63, 20)])
def test_an_image_smaller_than_a_patch_is_continued(shape):
    image = paint([(10, 10, 5)], shape)
    crops = crop_objects(image, 64)
    assert crops.pixels.shape == (1, 64, 64, 3)
    x, y = crops.corners[0]
    top, left = max(0, -y), max(0, -x)
    inside = crops.pixels[0, top : top + min(64, shape[0]), left : left + min(64, shape[1])]
    assert np.array_equal(inside, image[max(0, y) :, max(0, x) :][:64, :64])


def test_neighbours_that_a_patch_shows_already_get_none():
    discs = [(100, 100, 10), (124, 100, 6)]
    assert len(crop_objects(paint(discs), 64)) == 1
    assert len(crop_objects(paint(discs), 24)) == 2


@pytest.mark.parametrize("image", [paint([], noise=2), paint([], background=255)])
def test_where_nothing_stands_out_there_is_no_patch(image):
    crops = crop_objects(image)
    assert len(crops) == 0
    assert crops.pixels.shape == (0, 64, 64, 3)


def test_specks_are_no_objects():
    image = paint([(50, 50, 2), (120, 120, 12)])
    assert len(crop_objects(image, 64)) == 1
    assert len(crop_objects(image, 64, least_area=4)) == 2


def test_impossible_sizes_are_refused():
    with pytest.raises(OptionError, match="at least 8 px"):
        crop_objects(paint(), 7)
    with pytest.raises(OptionError, match="square pixel"):
        crop_objects(paint(), least_area=0)
    with pytest.raises(ValueError, match="uint8"):
        crop_objects(np.zeros((5, 5)))


def test_the_patches_of_a_bag_are_a_bag(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(paint()).save(source / "S22.1.png")
    Image.fromarray(paint([])).save(source / "empty.png")
    (source / "bad.png").write_bytes(b"no picture")
    events = []
    n = write_crops(open_image_bag(source), tmp_path / "out", 32, on_event=events.append)
    assert n == 3
    said = [event.message for event in events if isinstance(event, Fallback)]
    assert any("empty.png" in text for text in said)
    assert any("bad.png" in text for text in said)
    patches = open_image_bag(tmp_path / "out")
    assert patches.names == tuple(f"S22.1.png object {k}.png" for k in (1, 2, 3))
    rows = list(csv.DictReader((tmp_path / "out/objects.csv").read_text().splitlines()))
    for k, row in enumerate(rows):
        x, y = int(row["x"]), int(row["y"])
        assert row["patch"] == patches.names[k]
        assert np.array_equal(patches.read(k), paint()[y : y + 32, x : x + 32])


def test_nothing_is_written_over_or_by_halves(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    Image.fromarray(paint([])).save(source / "empty.png")
    images = open_image_bag(source)
    with pytest.raises(BagError, match="no object"):
        write_crops(images, tmp_path / "out")
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        write_crops(images, tmp_path / "out", cancel=token)
    with pytest.raises(OutputError, match="exists"):
        write_crops(images, source)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_real_nuclei_get_patches_of_their_own(shared):
    bag = open_image_bag(shared / "data/bags/stack")
    for page in range(4):
        image = bag.read(page)
        crops = crop_objects(image, 64)
        assert 20 < len(crops) < 120
        # Around its centre a patch is brighter than the field.
        x, y = crops.centres.astype(int).T
        assert np.mean(image[y, x, 0] > image.mean()) > 0.9
    cell = open_image_bag(shared / "data/bags/hpa-cells")
    assert len(crop_objects(cell.read(1), 128)) > 0
