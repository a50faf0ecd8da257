import numpy as np
import pytest
import torch

from napari_mil.bags import read_bag
from napari_mil.errors import CheckpointError

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize(
    "content",
    [
        lambda x: x,
        lambda x: x[None],
        lambda x: x[:, :, None, None],
        lambda x: list(x),
        lambda x: {"feats": x},
        lambda x: x.bfloat16().float(),
        lambda x: torch.nn.Parameter(x),
        lambda x: (x, torch.zeros(7, 2)),
        lambda x: x.numpy(),
    ],
)
def test_torch_files_hold_features_in_many_forms(tmp_path, content):
    torch.save(content(torch.from_numpy(FEATURES)), tmp_path / "a.pt")
    assert read_bag(tmp_path / "a.pt").features.shape == (7, 5)


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_code_in_a_pickle_is_not_run(tmp_path, capsys):
    torch.save({"features": Code()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        read_bag(tmp_path / "evil.pt")
    assert capsys.readouterr().out == ""
