import os
import subprocess
import sys
import time

import pytest

from napari_mil.disk_cache import (
    CacheKind,
    CacheLease,
    cached_files,
    clear,
    mark_used,
    trim,
)
from napari_mil.errors import NapariMilError
from napari_mil.files import PART

DAY = 86_400


@pytest.fixture
def folder(tmp_path):
    """Return a cache of six files of 1000 bytes, used 0 to 5 days ago."""
    for days in range(6):
        put(tmp_path, f"{days}.safetensors", days)
    return tmp_path


def put(folder, name, days=0.0, kind=CacheKind.FEATURES):
    path = folder / kind / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(1000))
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def names(folder):
    return [file.path.stem for file in cached_files(folder)]


def test_a_full_cache_loses_the_least_recently_used_files(folder):
    assert trim(folder, 6000) == 0, "it fits"
    mark_used(folder / "features" / "5.safetensors")
    assert trim(folder, 4500) == 2
    assert names(folder) == ["2", "1", "0", "5"]
    assert trim(folder, 1500) == 3, "the limit holds, however lately files were used"
    assert trim(folder / "missing", 0) == 0


def test_the_limit_counts_every_kind(folder):
    put(folder, "a.png", 9, CacheKind.OVERVIEWS)
    assert trim(folder, 6500) == 1
    assert {file.kind for file in cached_files(folder)} == {CacheKind.FEATURES}


def test_what_a_training_run_may_still_read_stays_until_it_ends(folder):
    put(folder, "old.npy", 8, CacheKind.IMAGES)
    lease = CacheLease(folder)
    assert trim(folder, 0) == 1, "unused for more than a week"
    assert len(names(folder)) == 6
    with pytest.raises(NapariMilError, match="training run"):
        clear(folder)
    lease.release()
    assert trim(folder, 0) == 6


def test_a_lease_ends_with_its_process_however_that_ends(folder):
    code = (
        "import sys, pathlib, napari_mil.disk_cache as c;"
        "lease = c.CacheLease(pathlib.Path(sys.argv[1])); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        assert trim(folder, 0) == 0
        process.kill()
    assert trim(folder, 0) == 6


def test_a_cache_that_cannot_be_made_leases_nothing(tmp_path):
    (tmp_path / "file").touch()
    CacheLease(tmp_path / "file" / "cache").release()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_being_written_are_left_alone_and_those_left_behind_go(folder):
    being_written = put(folder, f".9.safetensors.1-1{PART}")
    left_behind = put(folder, f".8.safetensors.1-1{PART}", 2)
    assert len(names(folder)) == 6
    assert trim(folder, 0) == 6
    assert being_written.exists()
    assert not left_behind.exists()


def test_clearing_takes_the_kinds_asked_for_and_nothing_else_in_the_folder(folder):
    put(folder, "a.png", kind=CacheKind.OVERVIEWS)
    put(folder, f".9.safetensors.1-1{PART}")
    (folder / "notes.txt").write_text("mine")
    gone = clear(folder, [CacheKind.FEATURES])
    assert len(gone) == 7
    assert sum(file.bytes for file in gone) == 7000
    assert names(folder) == ["a"]
    clear(folder)
    assert names(folder) == []
    assert (folder / "notes.txt").exists()


def test_a_file_that_cannot_be_deleted_is_named(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(NapariMilError, match=r"safetensors cannot be deleted"):
        clear(folder)
    assert trim(folder, 0) == 0
