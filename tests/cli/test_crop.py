import numpy as np
from PIL import Image

from napari_mil.bags import open_image_bag
from tests.cli.command import run, sentence_of


def test_crop_writes_a_bag_of_patches(tmp_path):
    pixels = np.zeros((100, 120, 3), np.uint8)
    pixels[20:40, 30:50] = 200
    pixels[60:80, 80:100] = 150
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in/a.png")
    result = run("crop", tmp_path / "in", "--out", tmp_path / "out", "--size", 32)
    assert result.returncode == 0, result.stderr
    assert "2 patches of 1 images" in result.stdout
    patches = open_image_bag(tmp_path / "out")
    assert len(patches) == 2
    assert patches.read(0).shape == (32, 32, 3)
    again = run("crop", tmp_path / "in", "--out", tmp_path / "out")
    assert again.returncode == 2
    assert "exists already" in sentence_of(again)


def test_crop_refuses_a_folder_without_images(tmp_path):
    result = run("crop", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "holds no image" in sentence_of(result)
