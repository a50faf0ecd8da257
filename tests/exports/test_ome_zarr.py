"""Values as an image that lies on the slide, and labels."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_mil.exports.exporting import export_prediction
from napari_mil.exports.ome_zarr import NO_SCALE
from napari_mil.slides import open_slide
from tests.exports.answers import SLIDE_FACTS, answer


def written(prediction, folder):
    """Export and return the group and what was remarked."""
    path = folder / "a.ome.zarr"
    remarks = export_prediction(prediction, "ome-zarr", path)
    return zarr.open_group(path, mode="r"), remarks


def places_of(group):
    """Return scale and translation of the finest level along (y, x)."""
    (multiscale,) = group.attrs["ome"]["multiscales"]
    (dataset,) = multiscale["datasets"]
    scale, translation = dataset["coordinateTransformations"]
    return scale["scale"][-2:], translation["translation"][-2:]


@settings(max_examples=20)
@given(
    stride=st.floats(20, 3000),
    overlap=st.sampled_from([0.0, 0.25, 0.5]),
    aspect=st.sampled_from([1.0, 1.5]),
    mpp=st.floats(0.1, 4),
)
def test_the_centre_of_each_pixel_lies_on_the_centre_of_its_tile(
    tmp_path_factory, stride, overlap, aspect, mpp
):
    cells = np.stack(np.divmod(np.arange(12), 4), 1)
    size = stride / (1 - overlap)
    pitch = (stride, stride / aspect)
    prediction = answer(
        12,
        coords=np.rint(cells[:, ::-1] * pitch).astype(np.int64),
        tile_size0=size,
        slide={**SLIDE_FACTS, "mpp": mpp},
        provenance={"grid": {"stride0": stride, "aspect": aspect}},
    )
    group, remarks = written(prediction, tmp_path_factory.mktemp("export"))
    assert remarks == ()
    mpp_x = 2 * mpp / (1 + aspect)
    scale, translation = (np.array(each[::-1]) for each in places_of(group))
    image = group["0"][:]
    for k, (row, column) in enumerate(cells):
        placed = (np.array([column, row]) * scale + translation) / (mpp_x, mpp_x * aspect)
        # The centre of level-0 pixel 0 is at 0; the exact corner is rounded to the one exported.
        centre = prediction.coords[k] + np.array([size, size / aspect]) / 2 - 0.5
        assert np.abs(placed - centre).max() <= 0.5 + 1e-6
        assert image[0, row, column] == prediction.attention[k, 0]


def test_channels_are_the_columns_and_no_tile_is_no_number(tmp_path):
    prediction = answer(5)
    group, _ = written(prediction, tmp_path)
    assert [each["label"] for each in group.attrs["ome"]["omero"]["channels"]] == [
        "attention",
        "score: normal",
        "score: tumour",
        "unlike",
    ]
    image = group["0"]
    assert image.dtype == np.float32
    assert image.shape == (4, 2, 3)
    assert np.isnan(image[:, 1, 2]).all()
    assert np.isfinite(image[:, 0]).all()


def test_labels_are_whole_numbers_with_the_names_of_classes(tmp_path):
    masks = {"high": np.array([True, False, False, False, True])}
    prediction = answer(5, masks=masks)
    group, _ = written(prediction, tmp_path)
    assert group["labels"].attrs["ome"]["labels"] == ["tiles", "classes", "masked_high"]
    assert group["labels/tiles/0"][:].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert group["labels/masked_high/0"][:].tolist() == [[1, 0, 0], [0, 1, 0]]
    classes = group["labels/classes/0"][:]
    expected = (prediction.instance_scores[:, 1] >= 0.5) + 1
    assert classes.ravel()[:5].tolist() == expected.tolist()
    notes = group["labels/classes"].attrs["ome"]["image-label"]
    assert notes["properties"][1] == {"label-value": 2, "class": "tumour"}
    assert notes["source"] == {"image": "../../"}
    for name in ("tiles", "classes"):
        assert places_of(group[f"labels/{name}"]) == places_of(group)
        assert group[f"labels/{name}/0"].dtype.kind == "u"


def test_the_image_opens_as_a_slide_at_the_scale_of_its_tiles(tmp_path):
    size = 40.0
    cells = np.stack(np.divmod(np.arange(6), 3), 1)[:, ::-1]
    prediction = answer(
        coords=cells * 40,
        tile_size0=size,
        provenance={"grid": {"stride0": size}},
        slide={**SLIDE_FACTS, "mpp": 0.5},
    )
    written(prediction, tmp_path)
    with open_slide(tmp_path / "a.ome.zarr") as slide:
        assert slide.mpp == pytest.approx(20.0)
        assert slide.dimensions == (3, 2)
        assert slide.channels[0].name == "attention"
        raw = slide.read_channels((0, 0), 0, (3, 2))
        assert np.array_equal(raw[0].ravel(), prediction.attention[:, 0])
        assert slide.read_region((0, 0), 0, (3, 2)).shape == (2, 3, 3)


def test_without_a_scale_positions_are_pixels_and_that_is_said(tmp_path):
    group, remarks = written(answer(slide={**SLIDE_FACTS, "mpp": None}), tmp_path)
    assert remarks == (NO_SCALE,)
    axes = group.attrs["ome"]["multiscales"][0]["axes"]
    assert all("unit" not in axis for axis in axes)
    assert places_of(group)[0] == [100.25, 100.25]


def test_tiles_that_share_a_pixel_are_counted(tmp_path):
    coords = np.array([(0, 0), (3, 0), (300, 0)])
    crowded = answer(3, coords=coords, tile_size0=100.0, provenance={"grid": {"stride0": 100.0}})
    _, remarks = written(crowded, tmp_path)
    assert remarks[0].startswith("1 tiles share")


def test_the_attributes_are_those_of_version_0_5(tmp_path):
    written(answer(), tmp_path)
    attributes = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())
    assert attributes["zarr_format"] == 3
    assert attributes["attributes"]["ome"]["version"] == "0.5"


def test_a_second_export_takes_the_place_of_the_first(tmp_path):
    written(answer(5), tmp_path)
    group, _ = written(answer(8), tmp_path)
    assert group["0"].shape == (4, 3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
