"""The model of the window loads neither Qt nor napari nor torch."""

import subprocess
import sys

CODE = """
import sys
from importlib import import_module
from pkgutil import walk_packages

import napari_mil.gui.model as model

names = [module.name for module in walk_packages(model.__path__, "napari_mil.gui.model.")]
for name in names:
    import_module(name)
heavy = {"qtpy", "PyQt5", "PyQt6", "napari", "torch"}
print(len(names), *sorted(heavy & set(sys.modules)))
"""


def test_the_whole_model_loads_neither_qt_nor_napari_nor_torch():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    n_modules, *loaded = done.stdout.split()
    assert int(n_modules) >= 20
    assert loaded == []
