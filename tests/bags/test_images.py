import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mil.bags.images import open_image_bag, read_image
from napari_mil.errors import BagError


def write_image(path, pixels):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def test_a_folder_of_images_keeps_names_order_and_sizes(tmp_path):
    for name, side in (("cell10.png", 8), ("cell2.PNG", 12), ("cell1.jpg", 9)):
        write_image(tmp_path / name, np.full((side, side + 1, 3), 100, np.uint8))
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    bag = open_image_bag(tmp_path)
    assert bag.names == ("cell1.jpg", "cell2.PNG", "cell10.png")
    assert [bag.read(i).shape for i in range(3)] == [(9, 10, 3), (12, 13, 3), (8, 9, 3)]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((4, 6), 77, np.uint8), [77, 77, 77]),
        (np.full((4, 6), 4095, np.uint16), [255, 255, 255]),
        (np.full((4, 6, 3), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 6), 0.25, np.float32), [255, 255, 255]),
        (np.zeros((4, 6), np.uint16), [0, 0, 0]),
    ],
)
def test_every_kind_of_pixels_becomes_rgb(tmp_path, pixels, expected):
    write_image(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == expected


def test_transparent_is_white(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((3, 3, 4), np.uint8))
    assert read_image(tmp_path / "a.png").min() == 255


def test_real_folders_of_microscopy_images_open(shared):
    counts = {
        "hpa-cells": 40,
        "fly-kc167": 3,
        "mixed-size": 10,
        "mixed-ish": 12,
        "bdgp-ish/Dl_9-10": 7,
    }
    for name, n in counts.items():
        bag = open_image_bag(shared / "data/bags" / name)
        assert len(bag) == n
        assert all(bag.read(i).dtype == np.uint8 for i in range(n))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"text"])
def test_a_damaged_picture_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(BagError, match=r"bad\.png"):
        read_image(tmp_path / "bad.png")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BagError, match="holds no image"):
        open_image_bag(tmp_path)
    with pytest.raises(BagError, match="cannot be read"):
        open_image_bag(tmp_path / "nowhere")
