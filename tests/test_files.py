import os
import time
from contextlib import suppress

from napari_mil.files import (
    EARLIER,
    forget_unused,
    mark_used,
    whole_folder_or_nothing,
    whole_or_nothing,
)

DAY = 86_400


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    with whole_or_nothing(path) as part:
        part.write_text("first")
    with suppress(RuntimeError), whole_or_nothing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path], "no part is left behind"


def fill_folder(folder, text):
    with whole_folder_or_nothing(folder) as part:
        (part / "a.txt").write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    fill_folder(tmp_path / "bundle", "first")
    (tmp_path / "bundle" / "b.txt").touch()
    fill_folder(tmp_path / "bundle", "second")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["a.txt"]
    assert (tmp_path / "bundle" / "a.txt").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_fault_while_a_folder_is_filled_leaves_the_earlier_one(tmp_path):
    fill_folder(tmp_path / "bundle", "first")
    with suppress(OSError), whole_folder_or_nothing(tmp_path / "bundle") as part:
        (part / "a.txt").write_text("half")
        raise OSError("full")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_that_a_kill_left_between_two_names_comes_back(tmp_path):
    fill_folder(tmp_path / "bundle", "first")
    (tmp_path / "bundle").rename(tmp_path / f".bundle{EARLIER}")
    with suppress(OSError), whole_folder_or_nothing(tmp_path / "bundle"):
        raise OSError("full")
    assert (tmp_path / "bundle" / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_full_cache_loses_the_least_recently_used_files_and_keeps_files_in_use(tmp_path):
    (tmp_path / "features").mkdir()
    for days in range(6):
        path = tmp_path / "features" / f"{days}.h5"
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - days * DAY,) * 2)
    assert forget_unused(tmp_path, 6000, 2.5 * DAY) == 0, "it fits"
    mark_used(tmp_path / "features" / "5.h5")
    assert forget_unused(tmp_path, 4500, 2.5 * DAY) == 2
    assert sorted(path.stem for path in tmp_path.rglob("*.h5")) == ["0", "1", "2", "5"]
    assert forget_unused(tmp_path, 0, 2.5 * DAY) == 0, "used lately, whatever it takes"
    assert forget_unused(tmp_path / "missing", 0, 0) == 0
