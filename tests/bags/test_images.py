import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mil.bags.images import open_image_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind


def write_image(path, pixels):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def read_only(folder):
    (image,) = (bag.read(0) for bag in [open_image_bag(folder)] if len(bag) == 1)
    return image


def test_a_folder_of_images_keeps_names_order_and_sizes(tmp_path):
    for name, side in (("cell10.png", 8), ("cell2.PNG", 12), ("cell1.jpg", 9)):
        write_image(tmp_path / name, np.full((side, side + 1, 3), 100, np.uint8))
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    bag = open_image_bag(tmp_path)
    assert bag.names == ("cell1.jpg", "cell2.PNG", "cell10.png")
    assert [bag.read(i).shape for i in range(3)] == [(9, 10, 3), (12, 13, 3), (8, 9, 3)]
    assert [bag.size(i) for i in range(3)] == [(10, 9), (13, 12), (9, 8)]
    assert bag.findings == ()


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((4, 6), 77, np.uint8), [77, 77, 77]),
        (np.full((4, 6), 4095, np.uint16), [255, 255, 255]),
        (np.full((4, 6), 1000, np.uint16), [249, 249, 249]),
        (np.full((4, 6), 60000, np.uint16), [233, 233, 233]),
        (np.full((4, 6, 3), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 6), 0.25, np.float32), [64, 64, 64]),
        (np.full((4, 6), 200.0, np.float32), [200, 200, 200]),
        (np.full((4, 6), 2047.5, np.float32), [128, 128, 128]),
        (np.full((4, 6), np.nan, np.float32), [0, 0, 0]),
        (np.zeros((4, 6), np.uint16), [0, 0, 0]),
    ],
)
def test_every_kind_of_pixels_becomes_rgb_by_the_depth_of_its_camera(tmp_path, pixels, expected):
    write_image(tmp_path / "a.tif", pixels)
    image = read_only(tmp_path)
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == expected


def test_sixteen_bit_png_keeps_its_depth(tmp_path):
    Image.fromarray(np.full((4, 6), 2048, np.uint16)).save(tmp_path / "a.png")
    assert read_only(tmp_path)[0, 0].tolist() == [128, 128, 128]


def test_samples_that_are_no_colours_are_shown_in_colours(tmp_path):
    pixels = np.zeros((4, 6, 2), np.uint8)
    pixels[..., 1] = 80
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig", metadata=None
    )
    assert read_only(tmp_path)[0, 0].tolist() == [0, 80, 0]


def test_colour_models_of_printing_become_rgb(tmp_path):
    Image.new("CMYK", (6, 4), (0, 255, 0, 0)).save(tmp_path / "a.tif")
    assert read_only(tmp_path)[0, 0].tolist() == [255, 0, 255]


def test_transparent_is_white(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((3, 3, 4), np.uint8))
    assert read_only(tmp_path).min() == 255


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp"])
def test_an_image_that_its_camera_turned_stands_upright(tmp_path, name):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    bag = open_image_bag(tmp_path)
    image = bag.read(0)
    assert image.shape == (16, 8, 3)
    assert image[:6].min() > 200
    assert image[10:].max() < 50
    assert bag.size(0) == (8, 16)


def test_of_an_animation_the_first_frame_is_the_image(tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "b.webp", lossless=True)
    bag = open_image_bag(tmp_path)
    assert bag.names == ("a.gif", "b.webp")
    assert bag.read(0)[0, 0].tolist() == [255, 0, 0]
    assert bag.read(1)[0, 0].tolist() == [0, 0, 255]


def test_images_of_8_and_16_bits_are_scaled_alike_and_it_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 6), 100, np.uint8))
    tifffile.imwrite(tmp_path / "b.tif", np.full((4, 6), 100 * 257, np.uint16))
    bag = open_image_bag(tmp_path)
    assert [int(bag.read(i).max()) for i in (0, 1)] == [100, 100]
    assert [finding.kind for finding in bag.findings] == [FindingKind.DEPTH]


def test_the_fingerprint_knows_neither_names_nor_places(tmp_path):
    for folder, names in (("one", ("a.png", "b.png")), ("two", ("x1.png", "x2.png"))):
        (tmp_path / folder).mkdir()
        for k, name in enumerate(names):
            write_image(tmp_path / folder / name, np.full((4, 6), k, np.uint8))
    one, two = (open_image_bag(tmp_path / folder) for folder in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    write_image(tmp_path / "two/x2.png", np.full((4, 6), 2, np.uint8))
    assert open_image_bag(tmp_path / "two").fingerprint != one.fingerprint


def test_the_fingerprint_changes_when_other_files_are_one_image(tmp_path):
    for folder, names in (("one", ("a_w1.png", "a_w2.png")), ("two", ("a1.png", "a2.png"))):
        (tmp_path / folder).mkdir()
        for k, name in enumerate(names):
            write_image(tmp_path / folder / name, np.full((4, 6), k, np.uint8))
    one, two = (open_image_bag(tmp_path / folder) for folder in ("one", "two"))
    assert (len(one), len(two)) == (1, 2)
    assert one.fingerprint != two.fingerprint


def test_real_folders_of_microscopy_images_open(shared):
    counts = {
        "hpa-cells": 40,
        "fly-kc167": 1,
        "mixed-size": 10,
        "mixed-ish": 12,
        "bdgp-ish/Dl_9-10": 7,
    }
    for name, n in counts.items():
        bag = open_image_bag(shared / "data/bags" / name)
        assert len(bag) == n
        for i in range(n):
            image = bag.read(i)
            assert image.dtype == np.uint8
            assert bag.size(i) == image.shape[1::-1]


def test_dots_in_the_name_of_a_folder_and_of_images_stay(tmp_path, shared):
    folder = tmp_path / "S22.101"
    shutil.copytree(shared / "cases/12-dots-in-names/benign/S22.101", folder)
    write_image(folder / "S22.101.3.png", np.zeros((4, 6), np.uint8))
    bag = open_image_bag(folder)
    assert bag.folder.name == "S22.101"
    assert bag.names == ("0.png", "1.png", "2.png", "S22.101.3.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"text", b"II*\0abc"])
@pytest.mark.parametrize("name", ["bad.png", "bad.tif"])
def test_a_damaged_picture_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    bag = open_image_bag(tmp_path)
    with pytest.raises(BagError, match=name):
        bag.read(0)
    with pytest.raises(BagError, match=name):
        bag.size(0)


def test_a_picture_larger_than_an_instance_is_refused_before_it_is_decoded(tmp_path):
    huge = np.broadcast_to(np.uint8(0), (20_000, 6_000))
    tifffile.imwrite(tmp_path / "huge.tif", huge, compression="zlib")
    with pytest.raises(BagError, match="120 MP"):
        open_image_bag(tmp_path).read(0)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BagError, match="holds no image"):
        open_image_bag(tmp_path)
    with pytest.raises(BagError, match="cannot be read"):
        open_image_bag(tmp_path / "nowhere")
