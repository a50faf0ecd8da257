import json

import numpy as np
import pytest
import zarr

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide
from napari_mil.slides.tiff import TiffBackend


def written(path, values, axes="cyx", *, version=3, scale=None, unit="micrometer", omero=None):
    """Write an OME-Zarr with the levels given."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    datasets = []
    for k, level in enumerate(values):
        chunks = tuple(min(side, 32) for side in level.shape)
        group.create_array(str(k), data=level, chunks=chunks)
        factors = [1.0] * (len(axes) - 2) + [(scale or 1.0) * 2**k] * 2
        transformation = {"type": "scale", "scale": factors}
        datasets.append({"path": str(k), "coordinateTransformations": [transformation]})
    kinds = {"c": "channel", "t": "time"}
    entries = [{"name": name, "type": kinds.get(name, "space")} for name in axes]
    if scale is not None:
        for entry in entries[-2:]:
            entry["unit"] = unit
    ome = {"multiscales": [{"axes": entries, "datasets": datasets}]}
    if omero is not None:
        ome["omero"] = {"channels": omero}
    group.attrs.update({"ome": ome} if version == 3 else ome)
    return path


RGB = [{"color": "FF0000"}, {"color": "00FF00"}, {"color": "0000FF"}]


@pytest.mark.parametrize("version", [2, 3])
def test_three_channels_of_pure_colours_are_a_picture(tmp_path, noise, version):
    fine = np.moveaxis(noise[:200, :150], -1, 0)
    path = written(
        tmp_path / "a.ome.zarr", [fine, fine[:, ::2, ::2]], version=version, scale=0.5, omero=RGB
    )
    with open_slide(path) as slide:
        assert slide.name == "a"
        assert slide.channels == ()
        assert slide.level_dimensions == ((150, 200), (75, 100))
        assert slide.mpp == 0.5
        region = slide.read_region((40, 61), 0, (70, 90))
        assert np.array_equal(region, noise[61:151, 40:110])


def test_other_channels_have_names_colours_and_ranges(tmp_path):
    values = np.random.default_rng(0).integers(0, 3000, (2, 60, 50)).astype(np.uint16)
    notes = [
        {"label": "DAPI", "color": "0000FF", "window": {"start": 100, "end": 2000}},
        {"label": "CD8", "color": "00FF00"},
    ]
    with open_slide(written(tmp_path / "a.zarr", [values], omero=notes)) as slide:
        assert [channel.name for channel in slide.channels] == ["DAPI", "CD8"]
        assert slide.channels[0].range == (100, 2000)
        assert np.array_equal(slide.read_channels((7, 5), 0, (20, 30)), values[:, 5:35, 7:27])
        bright = np.argwhere(values[0] >= 2000)[0]
        assert slide.read_region(tuple(bright[::-1]), 0, (1, 1))[0, 0, 2] == 255


@pytest.mark.parametrize(("unit", "mpp"), [("micrometer", 0.5), ("nanometer", None), (None, None)])
def test_the_unit_of_the_axes_is_heard(tmp_path, unit, mpp):
    values = np.zeros((1, 40, 40), np.uint8)
    path = written(tmp_path / "a.zarr", [values], scale=0.5, unit=unit)
    with open_slide(path) as slide:
        assert slide.mpp == mpp


def test_a_stack_shows_its_middle_and_says_so(tmp_path):
    values = np.arange(5, dtype=np.uint16)[None, :, None, None] * np.ones((1, 5, 40, 30), np.uint16)
    with open_slide(written(tmp_path / "a.zarr", [values], "czyx")) as slide:
        assert (slide.read_channels((0, 0), 0, (30, 40)) == 2).all()
        assert "the middle one of 5 planes" in slide.warnings[0].text


def test_the_fingerprint_follows_the_content_not_the_name(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (1, 60, 50)).astype(np.uint8)
    prints = []
    for name, pixels in (("a", values), ("b", values), ("c", values + 1)):
        with open_slide(written(tmp_path / name, [pixels])) as slide:
            prints.append(slide.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_damaged_chunks_are_white_and_noted(tmp_path, noise):
    values = np.moveaxis(noise[:64, :64], -1, 0)
    path = written(tmp_path / "a.zarr", [values], omero=RGB)
    chunk = path / "0" / "c" / "0" / "1" / "1"
    chunk.write_bytes(b"no chunk")
    with open_slide(path) as slide:
        pixels = slide.read_region((0, 0), 0, (64, 64))
        assert np.array_equal(pixels[:32, :32], noise[:32, :32])
        assert slide.damage.boxes(0).tolist() == [[32, 32, 64, 64]]
        assert (pixels[32:, 32:] == 255).all()


def chunk_file(path, version, *place):
    parts = [str(k) for k in place]
    return path / "0" / ("/".join(["c", *parts]) if version == 3 else ".".join(parts))


@pytest.mark.parametrize("version", [2, 3])
def test_chunks_without_a_file_are_white_and_counted_where_no_channel_has_one(
    tmp_path, noise, version
):
    values = np.moveaxis(noise[:70, :90], -1, 0)
    path = written(tmp_path / "a.zarr", [values], version=version, omero=RGB)
    chunk_file(path, version, 0, 1, 2).unlink()
    expected = noise[:70, :90].copy()
    expected[32:64, 64:] = 255
    with open_slide(path) as slide:
        assert slide.missing == pytest.approx(1 / 9)
        assert "no pixels for 11.1 % of the slide" in slide.warnings[0].text
        for left, top, width, height in ((0, 0, 90, 70), (50, 20, 30, 30), (70, 40, 20, 9)):
            region = slide.read_region((left, top), 0, (width, height))
            assert np.array_equal(region, expected[top : top + height, left : left + width])
        assert not slide.damage


def test_a_fill_value_other_than_zero_is_what_its_writer_meant(tmp_path, noise):
    path = written(tmp_path / "a.zarr", [np.moveaxis(noise[:64, :64], -1, 0)], omero=RGB)
    metadata = path / "0" / "zarr.json"
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(content | {"fill_value": 200}))
    chunk_file(path, 3, 0, 1, 1).unlink()
    with open_slide(path) as slide:
        assert (slide.read_region((32, 32), 0, (32, 32)) == 200).all()
        assert slide.missing == 0.25


def test_missing_chunks_of_fluorescence_are_dark_and_counted_where_all_channels_lack_them(tmp_path):
    values = np.random.default_rng(0).integers(1, 3000, (2, 64, 64)).astype(np.uint16)
    path = tmp_path / "a.zarr"
    group = zarr.open_group(written(path, [values]), mode="r+")
    split = group.create_array("0", data=values, chunks=(1, 32, 32), overwrite=True)
    assert split.nchunks == 8
    chunk_file(path, 3, 0, 0, 0).unlink()
    chunk_file(path, 3, 0, 1, 1).unlink()
    chunk_file(path, 3, 1, 1, 1).unlink()
    with open_slide(path) as slide:
        assert slide.missing == 0.25
        raw = slide.read_channels((0, 0), 0, (64, 64))
        assert raw[0, :32, :32].max() == 0 < raw[1, :32, :32].min()
        assert raw[:, 32:, 32:].max() == 0


def test_chunks_in_shards_are_looked_for_by_their_shard(tmp_path, noise):
    values = np.moveaxis(noise[:64, :64], -1, 0)
    path = tmp_path / "a.zarr"
    group = zarr.open_group(written(path, [values], omero=RGB), mode="r+")
    group.create_array("0", data=values, chunks=(3, 16, 16), shards=(3, 32, 32), overwrite=True)
    chunk_file(path, 3, 0, 0, 1).unlink()
    with open_slide(path) as slide:
        assert slide.missing == 0.25
        assert (slide.read_region((32, 0), 0, (32, 32)) == 255).all()
        assert np.array_equal(slide.read_region((0, 0), 0, (32, 64)), noise[:64, :32])


def test_a_zarr_without_an_image_is_refused_in_one_sentence(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w")
    with pytest.raises(UnreadableSlideError, match=r"a\.zarr is a Zarr without an image"):
        open_slide(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / ".zattrs").write_text("{no json")
    with pytest.raises(UnreadableSlideError, match=r"b\.zarr is a Zarr that cannot be read"):
        open_slide(tmp_path / "b.zarr")


def test_real_files_open_as_their_table_says(shared):
    expected = {
        "omezarr/blobs_image_v04.ome.zarr": ((12, 12), 1, ["0", "1", "2"], None),
        "omezarr/blobs_image_v05.ome.zarr": ((12, 12), 1, ["0", "1", "2"], None),
        "derived/cmu1-region-v05.ome.zarr": ((1024, 1024), 3, [], 0.499),
        "derived/cardiomyocytes-mip-v04.ome.zarr": (
            (1280, 1080),
            3,
            ["DAPI", "nanog", "Lamin B1"],
            0.65,
        ),
    }
    for name, (dimensions, levels, channels, mpp) in expected.items():
        with open_slide(shared / "data/slides" / name) as slide:
            assert slide.dimensions == dimensions
            assert slide.level_count == levels
            assert [channel.name for channel in slide.channels] == channels
            assert slide.mpp == mpp


def test_a_zarr_has_the_pixels_of_the_slide_it_was_made_from(shared, slide_path):
    """Its region of the slide is found by comparing, and is the same then."""
    with (
        open_slide(shared / "data/slides/derived/cmu1-region-v05.ome.zarr") as made,
        open_slide(slide_path) as slide,
    ):
        assert isinstance(slide._backend, TiffBackend)
        part = made.read_region((400, 400), 0, (64, 64))
        whole = slide.read_region((0, 0), 0, slide.dimensions)
        first = (whole[:-64, :-64] == part[0, 0]).all(-1)
        places = [
            (y, x)
            for y, x in np.argwhere(first)
            if np.array_equal(whole[y : y + 64, x : x + 64], part)
        ]
    assert len(places) >= 1


def test_version_0_6_gives_scales_in_coordinate_systems(tmp_path):
    path = written(tmp_path / "a.zarr", [np.zeros((1, 40, 40), np.uint8)], scale=0.5)
    content = json.loads((path / "zarr.json").read_text())
    multiscale = content["attributes"]["ome"]["multiscales"][0]
    multiscale["coordinateSystems"] = [{"name": "physical", "axes": multiscale.pop("axes")}]
    (path / "zarr.json").write_text(json.dumps(content))
    with open_slide(path) as slide:
        assert slide.mpp == 0.5


@pytest.mark.parametrize("axes", ["yx", "cyx"])
def test_eight_bits_without_notes_on_channels_are_a_picture(tmp_path, noise, axes):
    values = noise[:60, :50, 0] if axes == "yx" else np.moveaxis(noise[:60, :50], -1, 0)
    with open_slide(written(tmp_path / "a.zarr", [values], axes)) as slide:
        assert slide.channels == ()
        expected = noise[:60, :50, :1] if axes == "yx" else noise[:60, :50]
        assert np.array_equal(
            slide.read_region((0, 0), 0, (50, 60)), expected + np.zeros(3, np.uint8)
        )


def test_levels_of_other_channels_are_refused(tmp_path):
    levels = [np.zeros((3, 40, 40), np.uint16), np.zeros((2, 20, 20), np.uint16)]
    with pytest.raises(UnreadableSlideError, match="levels of different channels"):
        open_slide(written(tmp_path / "a.zarr", levels))


def test_a_damaged_chunk_of_a_channel_is_dark_and_noted(tmp_path):
    values = np.random.default_rng(0).integers(0, 3000, (2, 64, 64)).astype(np.uint16)
    path = written(tmp_path / "a.zarr", [values])
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"no chunk")
    with open_slide(path) as slide:
        assert slide.read_channels((0, 0), 0, (20, 20)).max() == 0
        assert slide.damage
