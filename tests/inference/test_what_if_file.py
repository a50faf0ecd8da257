"""What was taken out of a saved answer."""

import json

import numpy as np
import pytest

from napari_mil.errors import OutputError
from napari_mil.inference.what_if_file import WHAT_IF_FILE, read_what_if, write_what_if
from tests.gui.model import builders as build

PREDICTION = build.prediction(build.card(), build.grid_layout())
P = np.array([0.1, 0.9], np.float32)


def test_what_was_written_is_read(tmp_path):
    write_what_if(tmp_path, PREDICTION, (0, 3), P)
    saved = read_what_if(tmp_path, PREDICTION)
    assert saved.removed == (0, 3)
    np.testing.assert_array_equal(saved.probabilities, P)


def test_nothing_taken_out_leaves_no_file(tmp_path):
    write_what_if(tmp_path, PREDICTION, (0, 3), P)
    write_what_if(tmp_path, PREDICTION, (), P)
    assert not (tmp_path / WHAT_IF_FILE).exists()
    assert read_what_if(tmp_path, PREDICTION) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": "other"},
        {"n_instances": 5},
        {"logits": [2.5]},
        {"removed": [0, 99]},
        {"removed": [-1]},
        {"removed": list(range(6))},
        {"removed": None},
        {"probabilities": {}},
    ],
)
def test_what_does_not_belong_to_the_answer_is_left_alone(tmp_path, damage):
    write_what_if(tmp_path, PREDICTION, (0, 3), P)
    path = tmp_path / WHAT_IF_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert read_what_if(tmp_path, PREDICTION) is None


def test_half_a_file_is_left_alone(tmp_path):
    (tmp_path / WHAT_IF_FILE).write_text('{"schema": "napari')
    assert read_what_if(tmp_path, PREDICTION) is None


def test_where_nothing_can_be_written_that_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not kept"):
        write_what_if(tmp_path / "file", PREDICTION, (0,), P)
