import threading
import time

import numpy as np
import pytest

from napari_mil.errors import UnreadableSlideError
from napari_mil.slides import open_slide
from napari_mil.slides.handle import SharedHandle


def read_until_it_fails(slide, ends):
    try:
        while True:
            slide.read_region((100, 100), 0, (500, 500))
            np.asarray(slide.levels[0][:600, :600])
    except Exception as error:
        ends.append(error)


def test_closing_a_slide_under_its_readers_ends_them_in_words(slide_path):
    """A native file closed under a read would take the whole process with it."""
    for _ in range(10):
        slide = open_slide(slide_path)
        ends = []
        threads = [
            threading.Thread(target=read_until_it_fails, args=(slide, ends)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.03)
        slide.close()
        slide.close()
        for thread in threads:
            thread.join(timeout=20)
        assert len(ends) == 4
        assert [type(error) for error in ends] == [UnreadableSlideError] * 4
        assert all("was closed" in str(error) for error in ends)


def test_the_last_reader_frees_a_closed_file_exactly_once():
    freed = []
    handle = SharedHandle("a.svs", lambda: freed.append("a.svs"))
    with handle.reading():
        with handle.reading():
            handle.close()
            handle.close()
        assert not freed, "one reader is left"
    assert freed == ["a.svs"]
    with pytest.raises(UnreadableSlideError, match=r"a\.svs was closed"), handle.reading():
        pass
