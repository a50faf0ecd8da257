import gc
import io
import itertools
import os

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from napari_mil.errors import UnreadableSlideError
from napari_mil.findings import FindingKind
from napari_mil.slides import open_slide
from napari_mil.slides.tiff import TiffBackend

LOSSLESS = ["none", "deflate", "lzw", "packbits", "zstd", "lzma"]


def whole(slide, level=0):
    return slide.read_region((0, 0), level, slide.level_dimensions[level])


def written(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


@pytest.mark.parametrize("tile", [(64, 64), (96, 32), None], ids=["tiles", "odd tiles", "strips"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", LOSSLESS)
def test_lossless_files_give_their_pixels(tmp_path, noise, compression, planar, tile):
    stored = noise if planar == "contig" else np.ascontiguousarray(np.moveaxis(noise, -1, 0))
    path = written(
        tmp_path / "a.tif",
        stored,
        photometric="rgb",
        planarconfig=planar,
        tile=tile,
        rowsperstrip=None if tile else 50,
        compression=compression,
        predictor=compression in ("deflate", "lzw", "zstd"),
    )
    with open_slide(path) as slide:
        assert isinstance(slide._backend, TiffBackend)
        assert np.array_equal(whole(slide), noise)
        assert np.array_equal(slide.read_region((61, 33), 0, (100, 140)), noise[33:173, 61:161])


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_both_byte_orders_and_bigtiff_are_read(tmp_path, byteorder, bigtiff, compression):
    values = np.random.default_rng(0).integers(0, 65536, (70, 50, 3)).astype(np.uint16)
    values[0, 0] = 65535
    path = written(
        tmp_path / "a.tif",
        values,
        byteorder=byteorder,
        bigtiff=bigtiff,
        photometric="rgb",
        compression=compression,
    )
    with open_slide(path) as slide:
        assert np.abs(whole(slide) - np.round(values / 257)).max() <= 1


@pytest.mark.parametrize("largest", [255, 1023, 4095, 16383])
def test_the_bits_that_a_camera_uses_are_spread_over_the_range_and_said(tmp_path, largest):
    values = np.random.default_rng(0).integers(0, largest + 1, (70, 50, 3)).astype(np.uint16)
    values[0, 0] = largest
    with open_slide(written(tmp_path / "a.tif", values, photometric="rgb")) as slide:
        assert np.abs(whole(slide) - np.round(values / largest * 255)).max() <= 1
        (finding,) = slide.warnings
        assert finding.kind is FindingKind.DEPTH
        assert f"{largest.bit_length()} of 16 bits" in finding.text


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_files_are_grey_pictures(tmp_path, noise, photometric):
    grey = noise[..., 0]
    path = written(tmp_path / "a.tif", grey, photometric=photometric, tile=(64, 64))
    with open_slide(path) as slide:
        expected = grey if photometric == "minisblack" else 255 - grey
        assert np.array_equal(whole(slide), np.repeat(expected[..., None], 3, 2))
        assert slide.channels == ()


def test_palettes_are_colours(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (70, 50)).astype(np.uint8)
    colours = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    path = written(tmp_path / "a.tif", values, photometric="palette", colormap=colours)
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide), (colours.T[values] // 257).astype(np.uint8))


def test_transparent_pixels_are_white(tmp_path, noise):
    alpha = np.where(np.arange(noise.shape[0])[:, None, None] < 100, 0, 255).astype(np.uint8)
    rgba = np.concatenate([noise, np.broadcast_to(alpha, (*noise.shape[:2], 1))], -1)
    path = written(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    with open_slide(path) as slide:
        pixels = whole(slide)
    assert (pixels[:100] == 255).all()
    assert np.array_equal(pixels[100:], noise[100:])


@pytest.mark.parametrize(
    ("photometric", "subsampling"),
    [("rgb", (1, 1)), ("ycbcr", (1, 1)), ("ycbcr", (2, 1)), ("ycbcr", (2, 2))],
)
def test_jpeg_tiles_have_openslides_pixels(tmp_path, noise, photometric, subsampling):
    path = written(
        tmp_path / "a.tif",
        noise[:512, :448],
        photometric=photometric,
        tile=(64, 64),
        compression="jpeg",
        compressionargs={"level": 80},
        subsampling=subsampling,
    )
    with openslide.OpenSlide(path) as reference, open_slide(path) as slide:
        expected = np.asarray(reference.read_region((0, 0), 0, (448, 512)).convert("RGB"))
        assert np.array_equal(whole(slide), expected)


def test_jpeg_tables_may_stand_in_the_directory(tmp_path, noise):
    """As Aperio and libtiff write them: each tile lacks the tables."""
    pages = []
    for top in (0, 64):
        buffer = io.BytesIO()
        Image.fromarray(noise[top : top + 64, :64]).save(buffer, "JPEG", quality=90, subsampling=0)
        pages.append(buffer.getvalue())
    # Pillow writes the same tables for each picture of a quality.
    start = pages[0].index(b"\xff\xdb")
    end = pages[0].index(b"\xff\xc0")
    huffman = pages[0].index(b"\xff\xc4")
    scan = pages[0].index(b"\xff\xda")
    tables = b"\xff\xd8" + pages[0][start:end] + pages[0][huffman:scan] + b"\xff\xd9"
    bare = [b"\xff\xd8" + page[end:huffman] + page[scan:] for page in pages]
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        iter(bare),
        shape=(128, 64, 3),
        dtype=np.uint8,
        photometric="ycbcr",
        subsampling=(1, 1),
        tile=(64, 64),
        compression="jpeg",
        jpegtables=tables,
        metadata=None,
    )
    with open_slide(path) as slide:
        for k, page in enumerate(pages):
            expected = np.asarray(Image.open(io.BytesIO(page)).convert("RGB"))
            assert np.array_equal(slide.read_region((0, 64 * k), 0, (64, 64)), expected)


@pytest.mark.parametrize("compression", ["webp", "jpeg2000", "jpegxl", "png"])
def test_other_compressions_come_near_the_pixels(tmp_path, noise, compression):
    path = written(
        tmp_path / "a.tif", noise, photometric="rgb", tile=(64, 64), compression=compression
    )
    with open_slide(path) as slide:
        assert np.abs(whole(slide) - noise.astype(int)).mean() < 12


@pytest.mark.parametrize("sub_directories", [True, False])
def test_levels_are_found_in_directories_and_sub_directories(tmp_path, noise, sub_directories):
    coarse = noise[:600, :464].reshape(300, 2, 232, 2, 3).mean((1, 3)).astype(np.uint8)
    path = tmp_path / "a.ome.tif" if sub_directories else tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=sub_directories) as writer:
        options = {"photometric": "rgb", "tile": (64, 64)}
        writer.write(noise[:600, :464], subifds=int(sub_directories), **options)
        writer.write(coarse, subfiletype=1, **options)
    with open_slide(path) as slide:
        assert slide.level_dimensions == ((464, 600), (232, 300))
        assert np.array_equal(whole(slide, 1), coarse)


def test_every_offset_of_every_level_is_whole_pixels(shared):
    """No blending: what a level stores is what is read, at fractional downsamples too."""
    path = shared / "data/slides/svs/TCGA-CR-7395-01A-01-TS1.svs"
    with tifffile.TiffFile(path) as file, open_slide(path) as slide:
        random = np.random.default_rng(0)
        for level, stored in enumerate(file.series[0].levels):
            pixels = stored.asarray()
            height, width = pixels.shape[:2]
            downsample = slide.level_downsamples[level]
            for _ in range(10):
                column = int(random.integers(width - 100))
                row = int(random.integers(height - 80))
                at = (column * downsample, row * downsample)
                region = slide.read_region(at, level, (100, 80))
                assert np.array_equal(region, pixels[row : row + 80, column : column + 100])


def test_slides_that_openslide_opens_have_its_pixels(shared):
    for name in (
        "svs/CMU-1-Small-Region.svs",
        "svs/TCGA-CR-7395-01A-01-TS1.svs",
        "tiff/biopsy-packed-3level.tif",
        "tiff/boxes-4level-deflate.tiff",
        "derived/cmu1-mosaic-398MP.tiff",
    ):
        path = shared / "data/slides" / name
        with openslide.OpenSlide(path) as reference, open_slide(path) as slide:
            assert isinstance(slide._backend, TiffBackend)
            assert slide.level_dimensions == reference.level_dimensions
            assert slide.level_downsamples == pytest.approx(reference.level_downsamples)
            for key in ("openslide.vendor", "openslide.mpp-x", "openslide.objective-power"):
                ours = slide.properties.get(key)
                theirs = reference.properties.get(key)
                assert ours == theirs or float(ours) == pytest.approx(float(theirs)), (name, key)
            for level in range(reference.level_count):
                size = tuple(min(side, 300) for side in slide.level_dimensions[level])
                expected = np.asarray(reference.read_region((0, 0), level, size).convert("RGB"))
                assert np.array_equal(slide.read_region((0, 0), level, size), expected)
            assert set(slide.associated_images) == set(reference.associated_images)
            for kind, image in reference.associated_images.items():
                assert (
                    np.abs(
                        slide.associated_images[kind] - np.asarray(image)[..., :3].astype(int)
                    ).max()
                    <= 1
                )


def test_the_scale_of_each_axis_is_kept(shared):
    with open_slide(shared / "cases/01-nonsquare-pixels/nonsquare.tif") as slide:
        assert slide.mpp_xy == pytest.approx((0.25, 0.5))
        assert slide.scale.aspect == pytest.approx(2)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("µm", 0.25), ("nm", 0.25e-3), ("mm", 250), ("pixel", None), (None, 0.25)],
)
def test_the_unit_of_ome_is_heard(tmp_path, noise, unit, expected):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    if unit is not None:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    path = written(tmp_path / "a.ome.tif", noise, photometric="rgb", metadata=metadata)
    with open_slide(path) as slide:
        found = slide._backend.mpp_xy
    assert found == (None if expected is None else pytest.approx((expected, expected)))


def test_fluorescence_has_named_coloured_channels_and_raw_values(tmp_path):
    values = np.random.default_rng(0).integers(0, 3000, (3, 70, 50)).astype(np.uint16)
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "CD8", "CK"], "Color": [0x0000FFFF, 0x00FF00FF, -16776961]},
    }
    path = written(tmp_path / "a.ome.tif", values, metadata=metadata, photometric="minisblack")
    with open_slide(path) as slide:
        assert [channel.name for channel in slide.channels] == ["DAPI", "CD8", "CK"]
        assert [channel.colour for channel in slide.channels] == [
            (0, 0, 255),
            (0, 255, 0),
            (255, 0, 0),
        ]
        assert slide.channels[0].dtype == "uint16"
        raw = slide.read_channels((5, 7), 0, (20, 30))
        assert np.array_equal(raw, values[:, 7:37, 5:25])
        assert slide.read_channels((-5, 0), 0, (10, 10))[:, :, :5].max() == 0
        brightest = np.argmax(values[2].ravel())
        y, x = divmod(int(brightest), 50)
        assert slide.read_region((x, y), 0, (1, 1))[0, 0, 0] == 255


def test_a_stack_shows_its_middle_and_says_so(tmp_path):
    values = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 40, 30), np.uint8)
    path = written(tmp_path / "a.ome.tif", values, metadata={"axes": "ZYX"})
    with open_slide(path) as slide:
        assert (whole(slide) == 2).all()
        assert "the middle one of 5 planes" in slide.warnings[0].text


def test_the_planes_of_an_imagej_stack_follow_one_directory(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (3, 300, 50)).astype(np.uint8)
    path = written(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "CYX"})
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_channels((0, 0), 0, (50, 300)), values)


def test_every_kind_of_slide_of_the_table_opens_as_it_says(shared):
    expected = {
        "qptiff/small_vectra.qptiff": ((1920, 1440), 1, ["DAPI", "FITC", "Cy3"], 0.5),
        "ometiff/multi-channel-z-series.ome.tif": ((439, 167), 1, 3, None),
        "ometiff/cells-2c.ome.tif": ((93, 131), 1, 2, 0.25),
        "ometiff/cells-2t.ome.tif": ((93, 131), 1, 0, 0.25),
        "ometiff/cells-2z.ome.tif": ((93, 131), 1, 0, 0.25),
        "ometiff/cells.ome.tif": ((93, 131), 1, 0, 0.25),
        "ometiff/circles-2048-pyramid-3c.ome.tif": ((2048, 2048), 2, 3, None),
        "derived/cmu1-region-pyramid.ome.tif": ((2220, 2967), 4, 0, 0.499),
        "tiff/CMU-1-Small-Region.webp.tiff": ((2220, 2967), 1, 0, None),
    }
    for name, (dimensions, levels, channels, mpp) in expected.items():
        with open_slide(shared / "data/slides" / name) as slide:
            assert slide.dimensions == dimensions, name
            assert slide.level_count == levels, name
            assert slide.mpp == mpp, name
            names = [channel.name for channel in slide.channels]
            assert names == channels if isinstance(channels, list) else len(names) == channels
            assert whole(slide).std() > 1, name


def test_missing_tiles_are_white_and_counted(shared):
    with open_slide(shared / "data/slides/broken/sparse-54007x39429.svs") as slide:
        assert slide.missing == pytest.approx(1 - 1 / 32705, abs=1e-6)
        assert "more than 99.99 %" in slide.warnings[-1].text
        assert (slide.read_region((30_000, 30_000), 0, (300, 300)) == 255).all()


def test_a_damaged_tile_is_white_and_noted_and_its_neighbours_are_read(tmp_path, noise):
    path = written(
        tmp_path / "a.tif", noise[:512, :448], photometric="rgb", tile=(64, 64), compression="lzw"
    )
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start = page.dataoffsets[9]
        count = page.databytecounts[9]
    content = bytearray(path.read_bytes())
    content[start : start + count] = bytes(count)
    path.write_bytes(content)
    with open_slide(path) as slide:
        pixels = whole(slide)
        expected = noise[:512, :448].copy()
        expected[64:128, 128:192] = 255
        assert np.array_equal(pixels, expected)
        assert slide.damage.boxes(0).tolist() == [[128, 64, 192, 128]]
        assert slide.damage.touches(
            0, np.array([[100, 10], [128, 64], [192, 64]]), (64, 64)
        ).tolist() == [True, True, False]
        hatched = slide.levels[0][64:128, 128:192]
        assert set(np.unique(hatched)) == {150, 255}
        assert [finding.kind for finding in slide.warnings] == [FindingKind.UNREADABLE]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_refused_as_such(tmp_path, noise, share):
    path = written(
        tmp_path / "a.tif", noise, photometric="rgb", tile=(64, 64), compression="deflate"
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableSlideError, match=r"a\.tif.*cut short"):
        open_slide(path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 0.999])
def test_a_slide_of_several_directories_is_whole_or_refused(slide_path, tmp_path, share):
    path = tmp_path / "a.svs"
    path.write_bytes(slide_path.read_bytes()[: int(slide_path.stat().st_size * share)])
    with pytest.raises(UnreadableSlideError, match=r"a\.svs.*cut short"):
        open_slide(path)


def test_reads_after_closing_are_refused(tmp_path, noise):
    slide = open_slide(written(tmp_path / "a.tif", noise, photometric="rgb"))
    slide.close()
    with pytest.raises(UnreadableSlideError, match="was closed"):
        whole(slide)


def test_levels_of_another_picture_are_no_levels(tmp_path, noise):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise, photometric="rgb", tile=(64, 64))
        writer.write(noise[:100, :400], photometric="rgb", tile=(64, 64), subfiletype=1)
    with open_slide(path) as slide:
        assert slide.level_count == 1


@pytest.mark.parametrize(("row", "column"), itertools.product((0, 63, 64, 500), (0, 63, 400)))
def test_windows_over_any_tile_border_are_exact(paint, noise, row, column):
    slide = paint(noise)
    height, width = noise[row : row + 90, column : column + 70].shape[:2]
    region = slide.read_region((column, row), 0, (width, height))
    assert np.array_equal(region, noise[row : row + height, column : column + width])


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize(("compression", "likeness"), [("jpeg", 0.99), ("jpeg2000", 0.85)])
def test_levels_that_a_file_lacks_are_decoded_small_and_lie_in_place(
    tmp_path, slide, compression, likeness, factor
):
    """Odd sides, and a window that begins inside a tile.

    Wavelets are sharper than averages and lie up to half a small pixel beside them.
    """
    pixels = slide.read_region((600, 800), 0, (1111, 1043))
    path = written(
        tmp_path / "a.tif", pixels, photometric="rgb", tile=(64, 64), compression=compression
    )
    with open_slide(path) as opened:
        backend = opened._backend
        assert backend.reductions == ((2, 4, 8),)
        width, height = 1111 // factor, 1043 // factor
        whole_cells = opened.read_region((0, 0), 0, (width * factor, height * factor))
        averaged = whole_cells.reshape(height, factor, width, factor, 3).mean((1, 3))
        small = backend.read_reduced(0, factor, 0, 0, width, height)
        assert np.corrcoef(small.ravel(), averaged.ravel())[0, 1] > likeness
        part = backend.read_reduced(0, factor, 37, 21, 50, 60)
        assert np.array_equal(part, small[21:81, 37:87])


def test_other_compressions_are_averaged(paint, noise):
    slide = paint(np.tile(noise, (3, 4, 1)))
    assert slide._backend.reductions == ((),)
    assert len(slide.levels) == 2


def test_thumbnails_of_every_size_stay_inside_the_level(tmp_path, noise):
    """Whole tiles: one pixel more would be a tile that is not there."""
    pixels = np.tile(noise, (2, 2, 1))[:768, :768]
    path = written(
        tmp_path / "a.tif", pixels, photometric="ycbcr", tile=(256, 256), compression="jpeg"
    )
    with open_slide(path) as slide:
        for side in range(50, 384, 7):
            assert slide.thumbnail((side, side)).shape == (side, side, 3)
        assert slide.thumbnail((76, 76)).mean() == pytest.approx(whole(slide).mean(), abs=4)


def test_tiles_that_a_writer_cropped_at_the_edge_are_whole_at_every_size(tmp_path, slide):
    pixels = slide.read_region((600, 800), 0, (300, 300))
    tiles = []
    for top in (0, 256):
        for left in (0, 256):
            buffer = io.BytesIO()
            part = pixels[top : top + 256, left : left + 256]
            Image.fromarray(part).save(buffer, "JPEG", quality=95)
            tiles.append(buffer.getvalue())
    path = written(
        tmp_path / "a.tif",
        iter(tiles),
        shape=pixels.shape,
        dtype=np.uint8,
        photometric="ycbcr",
        subsampling=(2, 2),
        tile=(256, 256),
        compression="jpeg",
    )
    with open_slide(path) as opened:
        assert np.abs(whole(opened) - pixels.astype(int)).mean() < 5
        opened.thumbnail((60, 60))
        assert not opened.damage


@pytest.mark.parametrize(
    ("kind", "value"), [(11, 20000.0), (3, 20000), (12, 20000.0)], ids=["float", "short", "double"]
)
def test_a_resolution_of_any_type_is_a_resolution(tmp_path, noise, kind, value):
    path = written(
        tmp_path / "a.tif",
        noise,
        photometric="rgb",
        metadata=None,
        extratags=[(tag, kind, 1, value, True) for tag in (282, 283)]
        + [(296, "SHORT", 1, 3, True)],
    )
    with open_slide(path) as slide:
        assert slide.mpp in (None, pytest.approx(0.5))


def test_a_plain_file_that_only_sounds_like_a_vendor_is_read(tmp_path, noise):
    path = written(
        tmp_path / "a.tif",
        noise,
        photometric="rgb",
        tile=(64, 64),
        description="<scn>nothing</scn>",
        metadata=None,
    )
    with open_slide(path) as slide:
        assert np.array_equal(whole(slide), noise)


@pytest.mark.parametrize("photometric", ["separated", "cielab"])
def test_colours_that_need_a_profile_are_refused_by_name(tmp_path, noise, photometric):
    pixels = noise
    if photometric == "separated":
        pixels = np.concatenate([noise, noise[..., :1]], -1)
    path = written(tmp_path / "a.tif", pixels, photometric=photometric, planarconfig="contig")
    with pytest.raises(UnreadableSlideError, match=r"a\.tif.*(CMYK|CIELAB)"):
        open_slide(path)


def test_ycbcr_without_jpeg_becomes_rgb(tmp_path, noise):
    ycbcr = np.asarray(Image.fromarray(noise).convert("YCbCr"))
    path = written(tmp_path / "a.tif", ycbcr, photometric="ycbcr", subsampling=(1, 1))
    with open_slide(path) as slide:
        assert np.abs(whole(slide) - noise.astype(int)).max() <= 3


def test_premultiplied_colours_are_not_multiplied_again(tmp_path):
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[...] = (50, 25, 100, 128)  # half opaque (100, 50, 200)
    path = written(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["assocalpha"])
    with open_slide(path) as slide:
        assert whole(slide)[0, 0].tolist() == [177, 152, 227]


def test_grey_of_four_bits_is_spread_over_the_range(tmp_path):
    values = np.arange(16, dtype=np.uint8)[None].repeat(16, 0)
    Image.fromarray(values * 17).save(tmp_path / "reference.png")
    path = written(tmp_path / "a.tif", values, bitspersample=4, photometric="minisblack")
    with open_slide(path) as slide:
        assert whole(slide)[0, :, 0].tolist() == [17 * k for k in range(16)]


def test_a_file_that_says_it_is_turned_and_one_with_more_images_say_so(tmp_path, noise):
    turned = written(tmp_path / "a.tif", noise, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    with open_slide(turned) as slide:
        assert "orientation 6" in slide.warnings[0].text
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(noise, photometric="rgb")
        writer.write(noise[:100], photometric="rgb")
    with open_slide(tmp_path / "b.tif") as slide:
        assert "2 images; shown is the first" in slide.warnings[0].text


def test_reduced_directories_are_levels_at_any_downsample(tmp_path, noise):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "tile": (64, 64), "metadata": None}
        writer.write(noise, **options)
        writer.write(noise[:162, :126], subfiletype=1, **options)
        writer.write(noise[:44, :34], subfiletype=1, **options)
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert slide.level_dimensions == reference.level_dimensions


@pytest.mark.parametrize("axes", ["CYXS", "CSYX"])
@pytest.mark.parametrize("count", [1, 2])
def test_several_channels_of_colours_are_refused_and_one_is_a_picture(tmp_path, noise, axes, count):
    pixels = np.stack([noise, 255 - noise][:count])
    stored = pixels if axes == "CYXS" else np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
    path = written(
        tmp_path / "a.ome.tif",
        stored,
        photometric="rgb",
        planarconfig="contig" if axes == "CYXS" else "separate",
        metadata={"axes": axes},
    )
    if count == 1:
        with open_slide(path) as slide:
            assert np.array_equal(whole(slide), noise)
    else:
        with pytest.raises(UnreadableSlideError, match="each of its 2 channels holds colours"):
            open_slide(path)


def test_an_aperio_file_whose_first_image_is_no_slide_is_refused(tmp_path, noise):
    path = written(
        tmp_path / "a.svs",
        noise,
        photometric="rgb",
        description="Aperio Image Library\r\nlabel 467x601",
        metadata=None,
    )
    with pytest.raises(UnreadableSlideError, match="first image is not the slide"):
        open_slide(path)


def test_slides_that_nobody_closes_give_their_files_back(tmp_path, noise):
    path = written(tmp_path / "a.tif", noise, photometric="rgb")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        open_slide(path)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
