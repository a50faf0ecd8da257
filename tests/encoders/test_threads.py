import threading

import pytest
import torch

from napari_mil.encoders.threads import single_threaded_pool


@pytest.fixture
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_of_the_pool_use_one_core_and_others_what_they_used(two_cores):
    pool = single_threaded_pool(3, "encoder")
    assert list(pool.map(lambda _: torch.get_num_threads(), range(6))) == [1] * 6
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [2, 2]
