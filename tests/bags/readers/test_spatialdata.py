import json
import shutil

import numpy as np
import pyarrow
import pytest
import shapely
import zarr
from pyarrow import parquet
from scipy import sparse

from napari_mil.bags import read_bag
from napari_mil.bags.readers import is_bag, shape_of_bag
from napari_mil.errors import BagError
from napari_mil.findings import FindingKind
from napari_mil.slides.folders import is_zarr
from tests.bags.readers.canvas import Canvas

FEATURES = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
CORNERS = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1).reshape(-1, 2) * 256
ORDER = np.array([4, 0, 5, 2, 1, 3])
"""Tiles of the rows of the table."""


def write_table(root, name, matrix, region="tiles"):
    """Write a table of features as AnnData does."""
    table = root.require_group("tables").create_group(name)
    table.attrs.update({"region": region, "region_key": "library_id", "instance_key": "tile_id"})
    if sparse.issparse(matrix):
        group = table.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "shape": list(matrix.shape)})
        for part in ("data", "indices", "indptr"):
            group.create_array(part, data=getattr(matrix, part))
    else:
        table.create_array("X", data=matrix)
    table.create_group("obs").create_array("tile_id", data=ORDER.astype(np.int64))


def write_shapes(path, region="tiles", in_parts=False):
    """Write the outlines of tiles; the first vertex is not the corner."""
    outlines = shapely.to_wkb([shapely.box(x, y, x + 256, y + 256) for x, y in CORNERS.tolist()])
    columns = pyarrow.table({"tile_id": np.arange(6), "geometry": list(outlines)})
    file = path / "shapes" / region / "shapes.parquet"
    file.parent.mkdir(parents=True)
    if in_parts:
        file.mkdir()
        parquet.write_table(columns.slice(0, 2), file / "part.0.parquet")
        parquet.write_table(columns.slice(2), file / "part.1.parquet")
    else:
        parquet.write_table(columns, file)


@pytest.fixture(params=[2, 3], ids=["Zarr 2", "Zarr 3"])
def store(request, tmp_path):
    """Return the path of a store with one table."""
    path = tmp_path / "case.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=request.param)
    root.attrs["spatialdata_attrs"] = {"version": "0.1"}
    root.attrs["slide_properties"] = {"shape": [700, 900], "mpp": 0.5}
    root.attrs["tile_spec"] = {"tiles": {"width": 256, "mpp": 0.5, "base_downsample": 1.0}}
    write_table(root, "uni_tiles", FEATURES[ORDER])
    write_shapes(path)
    return path


def test_rows_are_joined_with_outlines_by_the_number_of_the_tile(store):
    bag = read_bag(store, Canvas(900, 700))
    assert np.array_equal(bag.features, FEATURES[ORDER])
    assert np.array_equal(bag.coords, CORNERS[ORDER])
    assert (bag.tile_size0, bag.warnings) == (256, ())
    assert bag.extraction.encoder == "uni"
    assert bag.extraction.slide_size == (900, 700)
    assert shape_of_bag(store)[0] == 6
    assert is_bag(store)
    assert is_zarr(store)


def test_another_slide_is_noticed_by_its_size(store):
    bag = read_bag(store, Canvas(5000, 4000))
    assert [finding.kind for finding in bag.warnings] == [FindingKind.OTHER_SLIDE]


def test_outlines_may_lie_in_several_files(store):
    shutil.rmtree(store / "shapes")
    write_shapes(store, in_parts=True)
    assert np.array_equal(read_bag(store).coords, CORNERS[ORDER])


def test_features_may_be_stored_without_their_zeros(store):
    root = zarr.open_group(store)
    del root["tables/uni_tiles"]
    write_table(root, "relu_tiles", sparse.csr_matrix(np.maximum(FEATURES[ORDER], 0)))
    assert np.array_equal(read_bag(store).features, np.maximum(FEATURES[ORDER], 0))
    assert shape_of_bag(store)[0] == 6


@pytest.mark.parametrize("kind", ["categories", "gaps"])
def test_numbers_of_tiles_may_be_of_categories_or_have_gaps(store, kind):
    obs = zarr.open_group(store)["tables/uni_tiles/obs"]
    del obs["tile_id"]
    column = obs.create_group("tile_id")
    if kind == "categories":
        column.create_array("codes", data=ORDER[::-1].astype(np.int8))
        column.create_array("categories", data=np.arange(6))
    else:
        column.create_array("values", data=ORDER[::-1].astype(np.int64))
        column.create_array("mask", data=np.zeros(6, bool))
    assert np.array_equal(read_bag(store).coords, CORNERS[ORDER[::-1]])


def test_of_several_tables_one_is_named(store):
    root = zarr.open_group(store)
    write_table(root, "conch_tiles", FEATURES[ORDER] * 2)
    write_table(root, "conch_tiles_dense", FEATURES[ORDER] * 3)
    with pytest.raises(BagError, match=r"several tables \(conch_tiles, uni_tiles\)"):
        read_bag(store)
    named = read_bag(store, dataset="conch_tiles")
    assert np.array_equal(named.features, FEATURES[ORDER] * 2)
    with pytest.raises(BagError, match="no table 'virchow'"):
        read_bag(store, dataset="virchow")


def damage_region(store):
    shutil.rmtree(store / "shapes")


def damage_outlines(store):
    (store / "shapes" / "tiles" / "shapes.parquet").write_bytes(b"PAR1 cut short")


def damage_geometry(store):
    columns = pyarrow.table({"tile_id": np.arange(6), "geometry": [b"no outline"] * 6})
    parquet.write_table(columns, store / "shapes" / "tiles" / "shapes.parquet")


def damage_tables(store):
    shutil.rmtree(store / "tables")


def damage_join(store):
    zarr.open_group(store)["tables/uni_tiles/obs/tile_id"][...] = np.arange(6) + 90


def damage_matrix(store):
    chunks = [file for file in (store / "tables/uni_tiles/X").rglob("*") if file.is_file()]
    for chunk in chunks:
        if not chunk.name.startswith((".", "zarr.json")):
            chunk.write_bytes(b"nothing")


def damage_description(store):
    for name in ("zarr.json", ".zattrs", ".zgroup", ".zmetadata"):
        if (store / name).is_file():
            (store / name).write_text(json.dumps({"zarr_format": 3, "node_type": "group"})[:-4])


@pytest.mark.parametrize(
    "damage",
    [
        damage_region,
        damage_outlines,
        damage_geometry,
        damage_tables,
        damage_join,
        damage_matrix,
        damage_description,
    ],
)
def test_a_damaged_store_is_refused_in_one_sentence(store, damage):
    damage(store)
    with pytest.raises(BagError, match=r"case\.zarr") as refused:
        read_bag(store)
    assert "\n" not in str(refused.value)


def test_stores_of_tiatoolbox_hold_boxes_of_an_unstated_scale(tmp_path):
    path = tmp_path / "case.zarr"
    boxes = np.concatenate([CORNERS, CORNERS + 256], 1)
    zarr.save_group(str(path), features=FEATURES, coordinates=boxes)
    assert np.array_equal(read_bag(path, tile_size0=512).coords, CORNERS * 2)
    unsure = read_bag(path)
    assert np.array_equal(unsure.coords, CORNERS)
    assert unsure.tile_size0 == 256
    assert [finding.kind for finding in unsure.warnings] == [FindingKind.UNCERTAIN_PLACE]


def test_an_image_in_a_store_is_no_bag(tmp_path):
    path = tmp_path / "image.zarr"
    zarr.save_group(str(path), image=np.zeros((4, 4)))
    assert not is_bag(path)
    with pytest.raises(BagError, match="holds no features"):
        read_bag(path)
