import threading

import pytest

from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken


def test_work_ends_where_it_next_asks_after_a_cancel():
    token = CancellationToken()
    token.raise_if_cancelled()
    token.cancel()
    token.cancel()
    assert token.cancelled
    with pytest.raises(CancelledError, match="Cancelled"):
        token.raise_if_cancelled()


def test_paused_work_goes_on_once_resumed():
    token = CancellationToken()
    token.pause()
    assert token.paused
    worker = threading.Thread(target=token.raise_if_cancelled)
    worker.start()
    assert worker.is_alive()
    token.resume()
    worker.join(timeout=20)
    assert not worker.is_alive()


def test_cancelling_ends_a_pause_and_forbids_another():
    token = CancellationToken()
    token.pause()
    token.cancel()
    assert not token.paused
    token.pause()
    assert not token.paused
