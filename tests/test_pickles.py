import numpy as np
import pytest
import torch

from napari_mil.errors import CheckpointError
from napari_mil.pickles import load_pickle


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_tensors_arrays_and_numbers_are_read(tmp_path):
    content = {"weight": torch.ones(2, 3), "row": np.arange(3), "rate": np.float64(0.5)}
    torch.save(content, tmp_path / "a.pt")
    loaded = load_pickle(tmp_path / "a.pt")
    assert torch.equal(loaded["weight"], content["weight"])
    assert loaded["row"].tolist() == [0, 1, 2]
    assert loaded["rate"] == 0.5


def test_a_pickle_with_code_is_refused_by_the_name_of_the_object(tmp_path, capsys):
    torch.save({"features": Code()}, tmp_path / "code.pt")
    with pytest.raises(CheckpointError, match=r"code\.pt was not opened.*print"):
        load_pickle(tmp_path / "code.pt")
    assert capsys.readouterr().out == ""


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="check the path"):
        load_pickle(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("no pickle")
    with pytest.raises(CheckpointError, match=r"text\.pt"):
        load_pickle(tmp_path / "text.pt")
