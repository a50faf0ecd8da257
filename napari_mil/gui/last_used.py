"""Folders of dialogs and the last classifier, remembered from one time to the next."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSettings

from napari_mil.settings import Settings

FILE = "window.ini"


class LastUsed:
    """A small file in the user's folder; one that cannot be read or written remembers nothing."""

    def __init__(self, settings: Settings) -> None:
        self._file = QSettings(str(settings.user_folder / FILE), QSettings.Format.IniFormat)

    def folder(self, dialog: str) -> str:
        """Return where a dialog ended last, or nothing if that is gone."""
        folder = self._text(f"folder/{dialog}")
        return folder if folder and Path(folder).is_dir() else ""

    def remember_folder(self, dialog: str, folder: Path) -> None:
        """Let a dialog begin there."""
        self._file.setValue(f"folder/{dialog}", str(folder))

    @property
    def classifier(self) -> str:
        """Name of the classifier that classified last, or nothing."""
        return self._text("classifier")

    @classifier.setter
    def classifier(self, name: str) -> None:
        self._file.setValue("classifier", name)

    def _text(self, key: str) -> str:
        value = self._file.value(key, "")
        return value if isinstance(value, str) else ""
