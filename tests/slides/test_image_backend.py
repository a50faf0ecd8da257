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


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_deep_pictures_are_scaled_by_the_bits_they_use(tmp_path, bits, channels):
    import imagecodecs

    values = np.random.default_rng(0).integers(0, 2**bits, (40, 30, *channels)).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(values))
    with open_slide(tmp_path / "deep.png") as slide:
        pixels = slide.read_region((0, 0), 0, (30, 40))
        said = [finding.text for finding in slide.warnings]
    expected = np.round(values / (2**bits - 1) * 255)
    assert np.abs(pixels - (expected if channels else expected[..., None])).max() <= 1
    assert said == ([] if bits == 16 else [f"{bits} of 16 bits are used."])


def test_a_picture_that_its_camera_turned_is_upright(tmp_path, noise):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's right is up
    Image.fromarray(noise).save(tmp_path / "turned.png", exif=exif)
    with open_slide(tmp_path / "turned.png") as slide:
        assert slide.dimensions == noise.shape[:2]
        pixels = slide.read_region((0, 0), 0, slide.dimensions)
    assert np.array_equal(pixels, np.rot90(noise, -1))


@pytest.mark.parametrize("ending", ["bmp", "gif", "webp", "jpg"])
def test_pictures_of_other_formats_open_by_their_content(tmp_path, ending):
    Image.new("RGB", (40, 30), (200, 120, 180)).save(tmp_path / f"picture.{ending}")
    (tmp_path / f"picture.{ending}").rename(tmp_path / "picture.dat")
    with open_slide(tmp_path / "picture.dat") as slide:
        assert slide.dimensions == (40, 30)
        colour = slide.read_region((5, 5), 0, (9, 9)).mean((0, 1))
    assert colour == pytest.approx((200, 120, 180), abs=3)


def test_of_an_animation_the_first_frame_is_shown_and_said(tmp_path):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "frames.gif", save_all=True, append_images=frames[1:])
    with open_slide(tmp_path / "frames.gif") as slide:
        assert slide.read_region((0, 0), 0, (1, 1)).ravel().tolist() == [255, 0, 0]
        assert "first of 3" in slide.warnings[0].text


def test_the_thumbnail_of_a_mirax_slide_is_not_shown_as_the_slide(shared):
    path = shared / "data/slides/broken/Mirax2-Fluorescence-1.mrxs"
    with pytest.raises(UnreadableSlideError, match=r"Mirax2-Fluorescence-1\.mrxs.*mirax"):
        open_slide(path)


def test_transparent_pictures_are_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    with open_slide(tmp_path / "clear.png") as slide:
        assert (slide.read_region((0, 0), 0, (20, 20)) == 255).all()
