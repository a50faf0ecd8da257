import numpy as np
import pytest

from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken
from napari_mil.gui.samples import CASE, sample_path
from napari_mil.gui.thumbnails import thumbnail_of
from napari_mil.settings import Settings

SIZE = (80, 76)


def thumbnail(path, cancel=None):
    return thumbnail_of(path, SIZE, Settings(), cancel or CancellationToken())


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", CASE])
def test_slides_and_folders_of_images_have_one_that_fits(name):
    pixels = thumbnail(sample_path(name))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert pixels.shape[0] <= SIZE[1]
    assert pixels.shape[1] <= SIZE[0]
    assert pixels.std() > 5, "something is to be seen"


def test_features_and_what_cannot_be_read_have_none(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 5), np.float32))
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    assert thumbnail(tmp_path / "a.npy") is None
    assert thumbnail(tmp_path / "broken.svs") is None
    assert thumbnail(tmp_path / "gone.svs") is None


def test_a_cancelled_one_is_not_made(slide_path):
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        thumbnail(slide_path, cancel)


def test_a_slide_that_would_have_to_be_read_whole_shows_its_own_picture_or_none(
    slide_path, monkeypatch
):
    from napari_mil.slides import Slide

    monkeypatch.setattr(Slide, "lacks_overview", True)
    monkeypatch.setattr(Slide, "thumbnail", lambda *_: pytest.fail("read whole"))
    pixels = thumbnail(slide_path)
    assert pixels is not None
    monkeypatch.setattr(Slide, "associated_images", {})
    assert thumbnail(slide_path) is None
