import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from napari_mil.files import (
    EARLIER,
    whole_folder_or_nothing,
    whole_or_nothing,
)


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


def test_two_threads_that_write_one_file_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    both_are_writing = threading.Barrier(2, timeout=20)

    def write(letter):
        with whole_or_nothing(path) as part:
            part.write_text(letter * 1000)
            both_are_writing.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, "ab"))
    assert set(path.read_text()) in ({"a"}, {"b"})
    assert list(tmp_path.iterdir()) == [path]
