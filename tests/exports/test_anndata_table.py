"""Tables as anndata 0.1.0 lays them out on disk."""

import json

import h5py
import numpy as np
import pytest

from napari_mil.bags import Bag
from napari_mil.exports.exporting import export_prediction
from tests.exports.answers import answer, answer_on, images_answer


@pytest.fixture
def open_table(tmp_path):
    """Return a function that exports an answer and opens the file."""
    files = []

    def export_and_open(prediction, **options):
        export_prediction(prediction, "h5ad", tmp_path / "a.h5ad", **options)
        files.append(h5py.File(tmp_path / "a.h5ad"))
        return files[-1]

    yield export_and_open
    for file in files:
        file.close()


def kinds_of(file):
    """Return the encoding of every node but the file itself."""
    kinds = {}
    file.visititems(lambda name, node: kinds.update({name: node.attrs.get("encoding-type")}))
    return kinds


def test_every_node_says_how_it_is_encoded(open_table):
    file = open_table(answer())
    assert file.attrs["encoding-type"] == "anndata"
    kinds = kinds_of(file)
    assert None not in kinds.values()
    assert kinds["obs"] == kinds["var"] == "dataframe"
    assert kinds["obs/class"] == "categorical"
    assert kinds["obs/_index"] == "string-array"
    assert kinds["uns/napari_mil/prediction"] == "string"
    assert {"obs", "var", "obsm", "varm", "obsp", "varp", "layers", "uns"} == set(file)


def test_values_stand_in_the_rows_and_centres_beside_them(open_table):
    prediction = answer()
    file = open_table(prediction)
    columns = file["obs"].attrs["column-order"].tolist()
    assert set(columns) == set(file["obs"]) - {"_index"}
    assert np.array_equal(file["obs/attention"][:], prediction.attention[:, 0])
    assert np.array_equal(file["obs/x"][:], prediction.coords[:, 0])
    assert np.array_equal(file["obsm/spatial"][:], prediction.coords + 100.25 / 2)
    assert json.loads(file["uns/napari_mil/prediction"][()]) == prediction.as_dict()


def test_categories_give_the_class_of_each_tile(open_table):
    prediction = answer()
    file = open_table(prediction)
    categories = file["obs/class/categories"].asstr()[:]
    classes = categories[file["obs/class/codes"][:]]
    second = prediction.instance_scores[:, 1] >= 0.5
    assert classes.tolist() == np.where(second, "tumour", "normal").tolist()
    assert not file["obs/class"].attrs["ordered"]


def test_a_spatialdata_table_finds_its_shapes(open_table):
    file = open_table(answer())
    keys = {key: node[()].decode() for key, node in file["uns/spatialdata_attrs"].items()}
    assert keys == {"region": "tiles", "region_key": "library_id", "instance_key": "tile_id"}
    assert file["obs/library_id/categories"].asstr()[:].tolist() == ["tiles"]
    assert file["obs/tile_id"][:].tolist() == list(range(6))


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 2, 2)])
def test_features_are_the_matrix_while_they_are_in_memory(open_table, shape):
    features = np.random.default_rng(0).random(shape, np.float32)
    prediction = answer()
    bag = Bag(features, prediction.coords, prediction.tile_size0)
    file = open_table(answer(features=bag))
    assert file["X"].shape == (6, 4)
    assert len(file["var/_index"]) == 4
    assert np.allclose(file["X"][:], features.reshape(6, 4, -1).mean(2))


def test_the_slides_picture_lies_where_squidpy_looks(open_table, paint, noise):
    slide = paint(noise)
    spatial = open_table(answer_on(slide), pixels=slide)["uns/spatial/tiles"]
    assert spatial["images/hires"].shape == (601, 467, 3)
    assert spatial["scalefactors/tissue_hires_scalef"][()] == 1
    assert spatial["scalefactors/spot_diameter_fullres"][()] == 64


def test_images_have_no_places(open_table):
    file = open_table(images_answer())
    assert "spatial" not in file["obsm"]
    assert "spatialdata_attrs" not in file["uns"]
    names = file["obs/name/categories"].asstr()[:][file["obs/name/codes"][:]]
    assert names.tolist() == [f"patient-7-{k}.png" for k in range(4)]


@pytest.mark.filterwarnings("ignore")
def test_anndata_itself_reads_the_table(tmp_path):
    anndata = pytest.importorskip("anndata", reason="anndata is not installed")
    prediction = answer()
    export_prediction(prediction, "h5ad", tmp_path / "a.h5ad")
    table = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert table.n_obs == 6
    assert np.array_equal(table.obs["attention"], prediction.attention[:, 0])
    assert table.obsm["spatial"].shape == (6, 2)
