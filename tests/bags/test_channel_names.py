from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_mil.bags import open_image_bag
from napari_mil.bags.channel_names import find_channels
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind


def fields_of(*names):
    found = find_channels([Path(name) for name in names])
    if found is None:
        return None
    return {field: [each.file.name for each in files] for field, files in found.fields.items()}


@pytest.mark.parametrize(
    ("names", "field"),
    [
        (("01_POS002_D.TIF", "01_POS002_F.TIF", "01_POS002_R.TIF"), "01_POS002"),
        (("a_w1.tif", "a_w2.tif"), "a"),
        (("cell 3_ch00.tif", "cell 3_ch01.tif"), "cell 3"),
        (("C1-cell.tif", "C2-cell.tif"), "cell"),
        (("x_blue.png", "x_green.png", "x_red.png", "x_yellow.png"), "x"),
        (("x-DAPI.png", "x-GFP.png"), "x"),
        (("Hoechst_S22.101.png", "mCherry_S22.101.png"), "S22.101"),
        (
            ("r01c02f03p01-ch1sk1fk1fl1.tiff", "r01c02f03p01-ch2sk1fk1fl1.tiff"),
            "r01c02f03p01-sk1fk1fl1",
        ),
        (
            (
                "A01_s1_w1F68A95D0-1A2B-4C3D-8E9F-001122334455.tif",
                "A01_s1_w20B68A95D-1A2B-4C3D-8E9F-001122334466.tif",
            ),
            "A01_s1",
        ),
        (("DAPI.png", "GFP.png"), "dapi-gfp"),
    ],
)
def test_files_that_differ_in_the_channel_alone_are_a_field(names, field):
    assert fields_of(*names) == {field: list(names)}


@pytest.mark.parametrize(
    "names",
    [
        ("a1_blue.png", "a2_green.png", "a3_red.png"),
        ("eye_R.png", "eye_L.png"),
        ("tissue_A.png", "tissue_B.png"),
        ("plate_C1.tif", "plate_C2.tif"),
        ("covered.png", "uncovered.png"),
        ("a_red.png", "a_blue.png", "b.png"),
        ("a_red.png", "a_RED.tif", "a_blue.png"),
        ("1.png", "2.png"),
    ],
)
def test_other_names_are_no_channels(names):
    assert fields_of(*names) is None


def test_a_field_that_lacks_a_channel_keeps_all_files_apart(tmp_path):
    for name in ("a_w1.png", "a_w2.png", "b_w1.png"):
        Image.new("L", (6, 4), 9).save(tmp_path / name)
    bag = open_image_bag(tmp_path)
    assert len(bag) == 3
    (finding,) = bag.findings
    assert finding.kind is FindingKind.GROUPING
    assert "each file counts as an image" in finding.text


def test_channels_are_shown_in_the_colours_of_their_names(tmp_path):
    for name, value in (("a_DAPI", 30), ("a_GFP", 60), ("a_TRITC", 90)):
        Image.new("L", (6, 4), value).save(tmp_path / f"{name}.png")
    bag = open_image_bag(tmp_path)
    assert bag.names == ("a",)
    assert bag.read(0)[0, 0].tolist() == [90, 60, 30]
    assert bag.size(0) == (6, 4)
    assert "dapi, gfp, tritc" in bag.findings[0].text


def test_channels_saved_in_their_colours_count_once(tmp_path):
    Image.new("RGB", (6, 4), (0, 0, 80)).save(tmp_path / "a_blue.png")
    Image.new("RGB", (6, 4), (50, 0, 0)).save(tmp_path / "a_red.png")
    assert open_image_bag(tmp_path).read(0)[0, 0].tolist() == [50, 0, 80]


def test_channels_of_several_sizes_are_named(tmp_path):
    Image.new("L", (6, 4)).save(tmp_path / "a_blue.png")
    Image.new("L", (6, 5)).save(tmp_path / "a_red.png")
    with pytest.raises(BagError, match="6 x 4 and 6 x 5"):
        open_image_bag(tmp_path).read(0)


def test_real_folders_join_what_is_complete_and_nothing_else(shared):
    fly = open_image_bag(shared / "data/bags/fly-kc167")
    assert fly.names == ("01_POS002",)
    image = fly.read(0)
    stains = [
        np.asarray(Image.open(shared / f"data/bags/fly-kc167/01_POS002_{c}.TIF")) for c in "RFD"
    ]
    assert np.array_equal(image, np.stack(stains, 2))
    assert len(fly.findings) == 1
    hpa = open_image_bag(shared / "data/bags/hpa-cells")
    assert len(hpa) == 40
    assert hpa.findings == ()
