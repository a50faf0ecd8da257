import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_mil.bags import read_bag

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2) * 128


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_safetensors_of_every_precision(tmp_path, dtype):
    save_file(
        {"features": torch.from_numpy(FEATURES).to(dtype), "coords": torch.from_numpy(COORDS)},
        tmp_path / "a.safetensors",
    )
    bag = read_bag(tmp_path / "a.safetensors")
    assert bag.features.dtype == np.float32
    assert np.allclose(bag.features, torch.from_numpy(FEATURES).to(dtype).float().numpy())
    assert bag.coords.tolist() == COORDS.tolist()
