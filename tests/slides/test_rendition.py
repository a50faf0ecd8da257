"""Slides shown in other colours: to look at, never to encode."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from napari_mil import open_slide
from napari_mil.errors import NapariMilError
from napari_mil.slides.rendition import Rendition, ShownChannel

SIZE = (96, 128)


@pytest.fixture
def stained(tmp_path):
    """A slide of three channels that differ."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 4000, (3, *SIZE), dtype=np.uint16)
    path = tmp_path / "stained.ome.tif"
    tifffile.imwrite(
        path,
        pixels,
        tile=(32, 32),
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "Cy3"]}},
    )
    with open_slide(path) as slide:
        yield slide


def shown(slide, *visible):
    return Rendition(tuple(ShownChannel(c, c.name in visible) for c in slide.channels))


def test_all_channels_as_they_come_are_the_slide_as_it_comes(stained):
    twin = stained.rendered(shown(stained, "DAPI", "FITC", "Cy3"))
    assert np.array_equal(twin.levels[0][:, :], stained.levels[0][:, :])


def test_a_channel_that_is_hidden_adds_no_light(stained):
    twin = stained.rendered(shown(stained, "DAPI"))
    blue = next(c for c in stained.channels if c.name == "DAPI").colour
    pixels = twin.levels[0][:, :]
    assert pixels[..., np.array(blue) > 0].any()
    assert not pixels[..., np.array(blue) == 0].any()
    nothing = stained.rendered(shown(stained))
    assert not nothing.levels[0][:, :].any()


def test_a_range_and_a_colour_are_those_that_were_chosen(stained):
    channel = replace(stained.channels[0], colour=(255, 255, 255), range=(0.0, 4000.0))
    channels = (ShownChannel(channel), *(ShownChannel(c, False) for c in stained.channels[1:]))
    twin = stained.rendered(Rendition(channels))
    raw = stained.read_channels((0, 0), 0, SIZE[::-1])[0]
    expected = np.round(raw / 4000 * 255)
    assert np.abs(twin.levels[0][:, :].astype(float) - expected[..., None]).max() <= 1


def test_what_is_encoded_does_not_depend_on_what_is_shown(stained):
    before = stained.read_region((0, 0), 0, SIZE[::-1])
    stained.rendered(shown(stained, "FITC")).levels[0][:, :]
    assert np.array_equal(stained.read_region((0, 0), 0, SIZE[::-1]), before)


def test_renditions_share_the_file_and_not_the_cache(stained):
    first = stained.rendered(shown(stained, "DAPI"))
    second = stained.rendered(shown(stained, "FITC"))
    assert len({stained.fingerprint, first.fingerprint, second.fingerprint}) == 3
    before = first.levels[0][:, :]
    second.levels[0][:, :]
    second.close()
    assert np.array_equal(first.levels[0][:, :], before)
    stained.close()
    assert np.array_equal(first.levels[0][:8, :8], before[:8, :8])


def swapped_profile():
    """Return an ICC profile whose red is sRGB's blue and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    entries = bytearray(profile)
    count = int.from_bytes(entries[128:132], "big")
    places = {bytes(entries[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red = places[b"rXYZ"]
    blue = places[b"bXYZ"]
    entries[red : red + 4] = b"bXYZ"
    entries[blue : blue + 4] = b"rXYZ"
    return bytes(entries)


def write_tiff(path, pixels, profile):
    tifffile.imwrite(path, pixels, tile=(32, 32), photometric="rgb", iccprofile=profile)


def write_png(path, pixels, profile):
    Image.fromarray(pixels).save(path, icc_profile=profile)


@pytest.mark.parametrize(("name", "write"), [("a.tif", write_tiff), ("a.png", write_png)])
def test_colours_go_through_the_profile_of_the_file(tmp_path, name, write):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 0] = 200
    write(tmp_path / name, pixels, swapped_profile())
    with open_slide(tmp_path / name) as slide:
        assert slide.has_profile
        managed = slide.rendered(Rendition(uses_profile=True)).levels[0][:, :]
        assert np.abs(managed.astype(int) - pixels[..., ::-1]).max() <= 3
        assert np.array_equal(slide.levels[0][:, :], pixels)


def test_a_slide_without_profile_says_so(slide):
    assert not slide.has_profile


def test_a_profile_that_is_none_is_refused_by_name(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    write_tiff(tmp_path / "odd.tif", pixels, b"no profile at all")
    slide = open_slide(tmp_path / "odd.tif")
    with slide, pytest.raises(NapariMilError, match=r"odd\.tif has a colour profile"):
        slide.rendered(Rendition(uses_profile=True))
