import torch

from napari_mil.training.config import make_config
from napari_mil.training.determinism import deterministic, epoch_seed


def test_settings_of_torch_are_restored():
    torch.use_deterministic_algorithms(False)
    threads = torch.get_num_threads()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    with deterministic(make_config(threads=2), torch.device("cpu")):
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory == filled


def test_every_epoch_and_seed_has_a_seed_of_its_own():
    seeds = {epoch_seed(seed, epoch) for seed in range(5) for epoch in range(20)}
    assert len(seeds) == 100
    assert epoch_seed(3, 7) == epoch_seed(3, 7)
