"""Imports beside the event loop."""

import threading

from napari_mil.gui import warm_up
from napari_mil.gui.warm_up import FIRST_CLASSIFICATION, FIRST_LAYER, import_beside


def test_modules_are_imported_one_after_the_other_in_another_thread(monkeypatch):
    told = []
    monkeypatch.setattr(
        warm_up, "import_module", lambda name: told.append((name, threading.current_thread()))
    )
    thread = import_beside(("a", "b"))
    thread.join(10)
    assert told == [("a", thread), ("b", thread)]
    assert thread.daemon, "it does not keep the program from ending"


def test_a_module_that_is_missing_leaves_the_others(monkeypatch):
    told = []

    def fail_once(name):
        told.append(name)
        if name == "missing":
            raise ImportError(name)

    monkeypatch.setattr(warm_up, "import_module", fail_once)
    import_beside(("missing", "there")).join(10)
    assert told == ["missing", "there"]


def test_what_is_imported_early_exists():
    from importlib.util import find_spec

    for name in (*FIRST_LAYER, *FIRST_CLASSIFICATION):
        assert find_spec(name) is not None, name
