"""HDF5 of every array in its own type."""

import json

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_mil.aggregators import single_linkage
from napari_mil.exports.exporting import export_prediction
from tests.exports.answers import answer, images_answer

any_float32 = st.floats(width=32, allow_nan=True, allow_infinity=True)


def check_same(dataset, array):
    assert dataset.dtype == array.dtype
    assert np.array_equal(dataset[...], array, equal_nan=array.dtype.kind == "f")


@settings(max_examples=20)
@given(arrays(np.float32, (6, 3), elements=any_float32))
def test_arrays_read_back_to_the_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("export") / "a.h5"
    prediction = answer(
        attention=values,
        similarity=values[:, 0],
        critical=np.array([3]),
        masks={"high": values[:, 1] > 0},
        tree=single_linkage(np.arange(12.0).reshape(6, 2)),
    )
    export_prediction(prediction, "hdf5", path)
    with h5py.File(path) as file:
        for name in ("coords", "attention", "instance_scores", "similarity", "critical"):
            check_same(file[name], getattr(prediction, name))
        check_same(file["logits"], prediction.logits)
        check_same(file["probabilities"], prediction.probabilities)
        check_same(file["unlike"], prediction.unlikeness.instances)
        check_same(file["masks/high"], prediction.masks["high"])
        check_same(file["tree/triplets"], prediction.tree.triplets)
        check_same(file["tree/heights"], prediction.tree.heights)
        assert json.loads(file["prediction"][()]) == prediction.as_dict()


def test_positions_say_how_large_tiles_are_as_tridents_do(tmp_path):
    export_prediction(answer(), "hdf5", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        facts = dict(file["coords"].attrs)
    assert facts["patch_size_level0"] == 100
    assert facts["tile_size0"] == 100.25
    assert facts["patch_size"] == 128
    assert (facts["level0_width"], facts["level0_height"]) == (2000, 1000)


def test_what_the_answer_lacks_is_not_there(tmp_path):
    export_prediction(images_answer(), "hdf5", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert not {"coords", "similarity", "critical", "tree", "masks"} & set(file)
        assert file["names"].asstr()[1] == "patient-7-1.png"
        assert file["classes"].asstr()[:].tolist() == ["normal", "tumour"]
