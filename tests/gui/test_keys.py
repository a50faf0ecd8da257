"""Keys of the window beside napari's own."""

from collections import Counter

import pytest
from napari._app_model import get_app_model
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtGui import QKeySequence

from napari_mil.gui.keys import CANVAS_KEYS, KEYS, TRAIN_KEYS

OURS = (*KEYS, *CANVAS_KEYS, *TRAIN_KEYS)
MENUS = "FVLPWH"
"""Letters that open a menu of napari with Alt."""


def sequence(keys):
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.PortableText)


def napari_keys():
    bound = {str(key) for keys in default_shortcuts.values() for key in keys}
    return {sequence(key) for key in bound}


def menu_keys():
    """Return the keys of every entry of napari's menus."""
    bindings = get_app_model().keybindings
    return {sequence(str(binding.keybinding)) for binding in bindings}


def test_the_list_of_napari_is_read_as_ours_is():
    assert {"Ctrl+G", "Ctrl+Shift+T", "V"} <= napari_keys()


@pytest.mark.parametrize("key", [*KEYS, *TRAIN_KEYS], ids=lambda key: key.keys)
def test_no_key_of_the_window_is_one_of_naparis_own(key):
    assert sequence(key.keys)
    assert sequence(key.keys) not in napari_keys()


@pytest.mark.gui
def test_no_key_of_the_window_is_that_of_an_entry_of_naparis_menus(bench):
    taken = menu_keys()
    assert {"Alt+C", "Ctrl+O"} <= taken, "the menus are read"
    assert taken.isdisjoint(sequence(key.keys) for key in (*KEYS, *TRAIN_KEYS))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.keys)
def test_no_key_of_the_window_opens_a_menu_or_types_a_letter(key):
    assert key.keys.startswith("Alt+")
    assert key.keys.removeprefix("Alt+") not in MENUS


def test_no_key_is_bound_twice():
    counts = Counter(sequence(key.keys) for key in OURS)
    assert [keys for keys, count in counts.items() if count > 1] == []


def test_every_key_says_what_it_does():
    assert all(key.words and key.name for key in OURS)
