import numpy as np
import pytest

from napari_mil.settings import Settings
from napari_mil.slides import open_slide
from napari_mil.slides.overview_store import OverviewStore


@pytest.fixture
def settings(tmp_path):
    """Let a slide of half a megapixel count as too large to be averaged at every opening."""
    return Settings(cache_folder=tmp_path / "cache", overview_budget_mp=0.1, overview_px=60)


def test_an_overview_is_made_once_and_kept_by_the_content(paint, noise, settings, monkeypatch):
    path = paint(noise[:512, :448]).path
    with open_slide(path, settings=settings) as slide:
        assert slide.lacks_overview
        assert not slide.has_stored_overview
        first = slide.thumbnail((56, 64))
        assert slide.has_stored_overview
    monkeypatch.setattr(
        "napari_mil.slides.slide.stream_thumbnail", lambda *_: pytest.fail("averaged again")
    )
    renamed = path.rename(path.with_name("renamed.tiff"))
    with open_slide(renamed, settings=settings) as slide:
        assert np.array_equal(slide.thumbnail((56, 64)), first)


def test_a_file_that_changes_gets_another_overview(paint, noise, settings):
    path = paint(noise[:512, :448]).path
    with open_slide(path, settings=settings) as slide:
        slide.thumbnail((56, 64))
    other = paint(255 - noise[:512, :448], name="other.tiff").path
    other.replace(path)
    with open_slide(path, settings=settings) as slide:
        assert not slide.has_stored_overview
        expected = 255 - noise[:512, :448].reshape(64, 8, 56, 8, 3).mean((1, 3))
        assert np.abs(slide.thumbnail((56, 64)) - expected).max() <= 1


def test_levels_that_were_sampled_are_taken_from_it(paint, noise, settings):
    path = paint(noise[:512, :448], tile=16).path
    with open_slide(path, settings=settings) as slide:
        sampled = np.asarray(slide.levels[-1])
        overview = slide.overview()
        exact = np.asarray(slide.levels[-1])
        assert overview.shape == (512, 448, 3)
        means = [
            np.abs(pixels.mean((0, 1)) - overview.mean((0, 1))).max() for pixels in (sampled, exact)
        ]
        assert means[1] < 1
        assert not np.array_equal(sampled, exact)


def test_a_slide_with_small_levels_needs_none(paint, noise, tmp_path):
    settings = Settings(cache_folder=tmp_path / "cache")
    with open_slide(paint(noise).path, settings=settings) as slide:
        assert not slide.lacks_overview
        slide.thumbnail((50, 50))
    assert not (tmp_path / "cache").exists()


def test_a_damaged_or_missing_overview_is_made_again(tmp_path):
    store = OverviewStore(Settings(cache_folder=tmp_path))
    assert store.load("abc") is None
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    store.save("abc", pixels)
    assert np.array_equal(store.load("abc"), pixels)
    store.path("abc").write_bytes(b"\x89PNG nothing")
    assert store.load("abc") is None


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "overviews").write_text("a file where the folder should be")
    store = OverviewStore(Settings(cache_folder=tmp_path))
    store.save("abc", np.zeros((4, 4, 3), np.uint8))
    assert store.load("abc") is None
