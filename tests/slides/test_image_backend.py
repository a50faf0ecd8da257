import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide


def test_plain_pictures_open_without_a_scale(tmp_path, noise):
    Image.fromarray(noise).save(tmp_path / "picture.png", dpi=(300, 300))
    with open_slide(tmp_path / "picture.png") as slide:
        assert slide.dimensions == noise.shape[1::-1]
        assert slide.mpp is None, "dpi says how to print, not how large the tissue is"
        assert np.array_equal(slide.read_region((5, 7), 0, (30, 20)), noise[7:27, 5:35])


def test_a_picture_is_judged_by_its_header_before_it_is_decoded(tmp_path):
    path = tmp_path / "huge.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 25_000, 24_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 0)
        + b"IDAT"
    )
    with pytest.raises(
        UnreadableSlideError, match=r"huge\.png is a plain picture of 600 MP, more than 500"
    ):
        open_slide(path)


def test_a_picture_beyond_pillows_own_limit_opens_without_a_word(tmp_path, recwarn):
    Image.new("L", (14_000, 13_000)).save(tmp_path / "large.png")
    with open_slide(tmp_path / "large.png") as slide:
        assert slide.dimensions == (14_000, 13_000)
    assert not recwarn.list


def test_sixteen_bit_pictures_are_refused_not_saturated(tmp_path):
    Image.fromarray(np.full((20, 20), 30_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableSlideError, match="more than 8 bits"):
        open_slide(tmp_path / "deep.png")


def test_transparent_pictures_are_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    with open_slide(tmp_path / "clear.png") as slide:
        assert (slide.read_region((0, 0), 0, (20, 20)) == 255).all()
