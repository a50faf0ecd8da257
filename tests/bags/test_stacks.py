import numpy as np
import pytest
import tifffile

from napari_mil.bags import open_image_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind


def planes(n, dtype=np.uint8, size=(12, 20)):
    """Return planes with one bright square each, at another place."""
    stack = np.full((n, *size), 10, dtype)
    for k in range(n):
        stack[k, 4:8, 3 * k : 3 * k + 3] = 100 + k
    return stack


def texts(bag):
    return " ".join(finding.text for finding in bag.findings)


@pytest.mark.parametrize("metadata", [None, {"axes": "QYX"}, {"axes": "TYX"}])
def test_pages_are_instances_in_the_order_of_the_file(tmp_path, metadata):
    stack = planes(4)
    with tifffile.TiffWriter(tmp_path / "fields.tif") as writer:
        if metadata is None:
            for page in stack:
                writer.write(page, metadata=None)
        else:
            writer.write(stack, photometric="minisblack", metadata=metadata)
    bag = open_image_bag(tmp_path)
    assert bag.names == tuple(f"fields.tif [page {k}]" for k in (1, 2, 3, 4))
    for k in range(4):
        assert np.array_equal(bag.read(k)[..., 0], stack[k])
        assert bag.size(k) == (20, 12)
    assert "4 pages" in texts(bag)
    assert bag.findings[0].kind is FindingKind.GROUPING


def test_pages_of_several_sizes_are_instances(tmp_path):
    sizes = [(12, 20), (30, 8), (12, 20)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for k, size in enumerate(sizes):
            writer.write(np.full(size, 50 + k, np.uint8), metadata=None)
    bag = open_image_bag(tmp_path)
    assert [bag.read(k).shape[:2] for k in range(3)] == sizes
    assert [int(bag.read(k)[0, 0, 0]) for k in range(3)] == [50, 51, 52]


def test_planes_of_depth_are_projected_by_maximum(tmp_path):
    stack = planes(5)
    tifffile.imwrite(tmp_path / "cell.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    bag = open_image_bag(tmp_path)
    assert bag.names == ("cell.tif",)
    assert np.array_equal(bag.read(0)[..., 0], stack.max(0))
    assert "5 planes" in texts(bag)
    assert "maximum" in texts(bag)


def test_of_depth_in_colours_the_middle_plane_is_taken(tmp_path):
    stack = np.stack([np.full((12, 20, 3), 60 * k, np.uint8) for k in (1, 2, 3)])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="rgb", metadata={"axes": "ZYXS"})
    bag = open_image_bag(tmp_path)
    assert len(bag) == 1
    assert bag.read(0)[0, 0].tolist() == [120, 120, 120]
    assert "middle" in texts(bag)


def test_channels_are_one_image_in_the_colours_of_the_file(tmp_path):
    stack = np.stack([np.full((12, 20), 4095, np.uint16), np.full((12, 20), 2048, np.uint16)])
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "GFP"], "Color": [0x0000FFFF, 0x00FF00FF]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="minisblack", metadata=metadata)
    bag = open_image_bag(tmp_path)
    assert bag.names == ("a.ome.tif",)
    assert bag.read(0)[0, 0].tolist() == [0, 128, 255]
    assert "DAPI, GFP" in texts(bag)


def test_time_channels_and_depth_together(tmp_path):
    random = np.random.default_rng(0)
    stack = random.integers(0, 256, (3, 4, 2, 12, 20), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TZCYX"})
    bag = open_image_bag(tmp_path)
    assert bag.names == tuple(f"a.tif [page {k}]" for k in (1, 2, 3))
    for t in range(3):
        image = bag.read(t)
        assert np.array_equal(image[..., 2], stack[t, :, 0].max(0))
        assert np.array_equal(image[..., 1], stack[t, :, 1].max(0))
        assert image[..., 0].max() == 0


def test_an_image_whose_channels_lie_in_several_files_is_one(tmp_path):
    values = (200, 90)
    names = [f"acquired_c{k}.ome.tif" for k in range(2)]
    data = "".join(
        f'<TiffData IFD="0" FirstC="{k}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:0000000{k}-0000-0000-0000-000000000000</UUID></TiffData>'
        for k, name in enumerate(names)
    )
    for k, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0000000{k}-0000-0000-0000-000000000000">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
            'SizeX="20" SizeY="12" SizeC="2" SizeZ="1" SizeT="1">'
            '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
            f'<Channel ID="Channel:0:1" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
        )
        pixels = np.full((12, 20), values[k], np.uint8)
        tifffile.imwrite(tmp_path / name, pixels, description=xml, metadata=None)
    bag = open_image_bag(tmp_path)
    assert len(bag) == 1
    assert len(bag.files) == 2
    assert bag.read(0)[0, 0].tolist() == [0, 90, 200]


def test_pages_of_one_stack_are_scaled_alike(tmp_path):
    stack = np.stack([np.full((12, 20), value, np.uint16) for value in (200, 3000)])
    tifffile.imwrite(tmp_path / "a.tif", stack)
    bag = open_image_bag(tmp_path)
    assert [int(bag.read(k)[0, 0, 0]) for k in (0, 1)] == [12, 187]


def test_smaller_copies_of_a_picture_are_no_instances(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pixels, tile=(16, 16), metadata=None)
        writer.write(pixels[::2, ::2], tile=(16, 16), subfiletype=1, metadata=None)
    bag = open_image_bag(tmp_path)
    assert bag.names == ("a.tif",)
    assert np.array_equal(bag.read(0), pixels)
    assert bag.findings == ()


def test_a_damaged_page_of_a_stack_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in planes(5):
            writer.write(page, metadata=None, compression="zlib")
    with tifffile.TiffFile(path) as file:
        at = file.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    bag = open_image_bag(tmp_path)
    assert len(bag) == 5
    with pytest.raises(BagError, match=r"a\.tif"):
        bag.read(3)
    assert np.array_equal(bag.read(4)[..., 0], planes(5)[4])


def test_the_real_stacks_never_lose_a_page_in_silence(shared):
    bag = open_image_bag(shared / "data/bags/stack")
    assert len([name for name in bag.names if name.startswith("nuclei-4page.tif [page ")]) == 4
    slices = [name for name in bag.names if name.startswith("nuclei-31slices")]
    assert len(slices) == 31
    assert "nuclei-31slices-uint16.tif (31 pages)" in texts(bag)
    means = [bag.read(k).mean() for k in range(4, len(bag))]
    # Neighbouring slices are alike: no jump where one uses fewer bits than the next.
    assert np.abs(np.diff(means)).max() < 10


def test_real_files_with_depth_and_channels(shared):
    from napari_mil.bags.stacks import read_stack

    folder = shared / "data/slides/ometiff"
    depth = read_stack(folder / "cells-2z.ome.tif")
    assert (len(depth.images), depth.n_planes) == (1, 2)
    both = read_stack(folder / "multi-channel-z-series.ome.tif")
    assert [len(source.pages) for source in both.images[0].sources] == [5, 5, 5]
    colours = read_stack(folder / "cells.ome.tif")
    assert colours.images[0].is_plain
