from dataclasses import FrozenInstanceError

import pytest

from napari_mil.settings import Settings


def test_the_users_folders_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = Settings()
    assert settings.cache_folder == tmp_path / "cache" / "napari-mil"
    assert settings.user_folder == tmp_path / "data" / "napari-mil"


def test_threads_follow_the_cores_within_limits(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert (Settings().reader_threads, Settings().encoder_threads) == (8, 64)
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert (Settings().reader_threads, Settings().encoder_threads) == (2, 1)


def test_settings_are_not_changed_under_a_running_job():
    with pytest.raises(FrozenInstanceError):
        Settings().chunk_px = 1
