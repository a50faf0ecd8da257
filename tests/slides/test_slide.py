import shutil
import struct
import threading
import time
import zlib

import numpy as np
import openslide
import pytest
from PIL import Image

from napari_mil.errors import NapariMilError, UnreadableSlideError
from napari_mil.slides import open_slide


def on_white(image):
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"), int)


def test_a_region_has_the_pixels_openslide_gives(slide, slide_path):
    with openslide.OpenSlide(str(slide_path)) as reference:
        theirs = on_white(reference.read_region((700, 900), 0, (300, 200)))
    ours = slide.read_region((700, 900), 0, (300, 200))
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, theirs)


def test_outside_of_the_slide_is_white(slide):
    width, height = slide.dimensions
    corner = slide.read_region((width - 3, height - 2), 0, (10, 10))
    assert (corner[2:] == 255).all()
    assert (corner[:, 3:] == 255).all()
    assert (slide.read_region((-50, -50), 0, (20, 20)) == 255).all()


def test_a_location_is_rounded_to_the_nearest_pixel_of_the_level(paint, noise):
    slide = paint(noise[:600, :464], downsamples=(1, 4))
    exact = slide.read_region((40, 80), 1, (16, 8))
    for x, y in ((41, 81), (39, 79), (40.9, 78.1)):
        assert np.array_equal(slide.read_region((x, y), 1, (16, 8)), exact)
    assert not np.array_equal(slide.read_region((43, 80), 1, (16, 8)), exact)


def test_threads_read_the_same_pixels_as_one(slide):
    locations = [(x, y) for x in range(0, 2000, 250) for y in range(0, 2800, 350)]
    alone = [slide.read_region(at, 0, (120, 90)) for at in locations]
    together = [None] * len(locations)

    def read(start):
        for k in range(start, len(locations), 4):
            together[k] = slide.read_region(locations[k], 0, (120, 90))

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def read_until_it_fails(slide, ends):
    try:
        while True:
            slide.read_region((100, 100), 0, (500, 500))
            np.asarray(slide.levels[0][:600, :600])
    except Exception as error:
        ends.append(error)


def test_closing_a_slide_under_its_readers_ends_them_in_words(slide_path):
    """A native file closed under a read would take the whole process with it."""
    for _ in range(10):
        slide, ends = open_slide(slide_path), []
        threads = [
            threading.Thread(target=read_until_it_fails, args=(slide, ends)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.03)
        slide.close()
        slide.close()
        for thread in threads:
            thread.join(timeout=20)
        assert len(ends) == 4
        assert [type(error) for error in ends] == [UnreadableSlideError] * 4
        assert all("was closed" in str(error) for error in ends)


def test_a_thumbnail_is_the_area_average_of_the_whole_slide(paint):
    level0 = np.zeros((512, 768, 3), np.uint8)
    level0[::2] = 200  # stripes average to 100 whatever is sampled
    thumbnail = paint(level0).thumbnail((96, 96))
    assert thumbnail.shape == (64, 96, 3)
    assert np.abs(thumbnail.astype(int) - 100).max() <= 1


def test_a_thumbnail_at_a_fractional_downsample_keeps_landmarks_in_place(paint):
    level0 = np.full((600, 1000, 3), 255, np.uint8)
    level0[300:360, 700:760] = 0
    dark = 255 - paint(level0).thumbnail((137, 137))[..., 0].astype(float)
    rows, columns = np.indices(dark.shape)
    scale = 1000 / 137
    assert ((columns + 0.5) * dark).sum() / dark.sum() * scale == pytest.approx(730, abs=scale / 2)
    assert ((rows + 0.5) * dark).sum() / dark.sum() * 600 / dark.shape[0] == pytest.approx(
        330, abs=scale / 2
    )


def test_the_fingerprint_follows_the_content_not_the_name(slide, slide_path, tmp_path):
    copy = shutil.copy(slide_path, tmp_path / "another name.svs")
    changed = bytearray(slide_path.read_bytes())
    changed[len(changed) // 63 + 10] ^= 1
    (tmp_path / "changed.svs").write_bytes(changed)
    with open_slide(copy) as same, open_slide(tmp_path / "changed.svs") as other:
        assert same.fingerprint == slide.fingerprint
        assert other.fingerprint != slide.fingerprint


def test_the_scale_comes_from_the_file_or_the_user(slide, slide_path):
    assert (slide.mpp, slide.mpp_source) == (0.499, "openslide")
    with slide.with_mpp(0.25) as corrected:
        assert (corrected.mpp, corrected.mpp_source) == (0.25, "user")
    with pytest.raises(NapariMilError, match="not plausible"):
        open_slide(slide_path, mpp=352.8)


def test_a_tiff_without_resolution_has_no_scale(paint, noise):
    slide = paint(noise, mpp=None)
    assert slide.mpp is None
    assert slide.mpp_source == "unknown"


def test_associated_images_are_there_when_asked_for(slide):
    assert {"label", "macro"} <= set(slide.associated_images)
    assert slide.associated_images["label"].shape[2] == 3


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


def test_senseless_regions_are_refused_as_such(slide):
    for level, size in ((-1, (5, 5)), (7, (5, 5)), (0, (-5, 5))):
        with pytest.raises(ValueError, match="levels 0 to 0"):
            slide.read_region((0, 0), level, size)
    with pytest.raises(ValueError, match="at least one pixel"):
        slide.thumbnail((0, 10))


def test_any_file_of_a_dicom_slide_is_the_same_slide(shared):
    fingerprints = set()
    for path in (shared / "data/slides/dicom/CMU-1-Small-Region").glob("*.dcm"):
        with open_slide(path) as slide:
            fingerprints.add(slide.fingerprint)
    assert len(fingerprints) == 1


def test_transparent_pictures_are_on_white(tmp_path):
    Image.new("RGBA", (20, 20), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    with open_slide(tmp_path / "clear.png") as slide:
        assert (slide.read_region((0, 0), 0, (20, 20)) == 255).all()


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "truncated", "folder", "damaged picture", "dangling link"]
)
def test_what_is_no_slide_is_refused_in_one_sentence(kind, spoil, tmp_path):
    path = tmp_path / "scan_07.svs"
    spoil(kind, path)
    with pytest.raises(UnreadableSlideError, match=r"scan_07\.svs") as caught:
        open_slide(path).read_region((0, 0), 0, (2220, 2967))
    assert "\n" not in str(caught.value)


def test_every_slide_that_openslide_opens_reads_the_same(shared):
    names = [
        "derived/cmu1-mosaic-398MP.tiff",
        "derived/two-regions-mimic.scn",
        "svs/TCGA-CR-7395-01A-01-TS1.svs",
        "tiff/biopsy-packed-3level.tif",
    ]
    for name in names:
        path = shared / "data/slides" / name
        with openslide.OpenSlide(str(path)) as reference, open_slide(path) as slide:
            x, y, width, height = slide.bounds
            for level, downsample in enumerate(reference.level_downsamples):
                if downsample != round(downsample):
                    continue  # OpenSlide blends there
                at = tuple(
                    int(value // downsample * downsample)
                    for value in (x + width * 0.4, y + height * 0.4)
                )
                theirs = on_white(reference.read_region(at, level, (100, 80)))
                assert np.abs(theirs - slide.read_region(at, level, (100, 80))).max() <= 1, (
                    name,
                    level,
                )


def test_damaged_pixels_are_an_error_that_names_the_file(shared):
    with open_slide(shared / "data/slides/tiff/boxes-4level-deflate.tiff") as fine:
        assert fine.mpp is None
    with (
        pytest.raises(UnreadableSlideError, match=r"unreadable\.svs"),
        open_slide(shared / "data/slides/broken/unreadable.svs") as slide,
    ):
        slide.read_region((0, 0), 0, (16, 16))
