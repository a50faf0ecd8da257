"""Properties of a slide, and its label and macro when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_mil.errors import NapariMilError
from napari_mil.gui.views.pixmaps import image_of

SIZE = (640, 560)
LARGEST_PICTURE_PX = 320
PRIVACY = "Properties, label and macro may identify a patient; they are written nowhere."


class PropertiesDialog(QDialog):
    """Properties as text that can be copied; pictures of the glass on request.

    Parameters
    ----------
    parent
        Widget it belongs to.
    name
        Name of the slide.
    properties
        Entries of the file.
    pictures
        Names of label, macro and thumbnail, as far as the file has them.
    read
        Decodes one of them: uint8 (h, w, 3), or raises an error for the user.
    """

    def __init__(
        self,
        parent: QWidget,
        name: str,
        properties: Mapping[str, str],
        pictures: Sequence[str],
        read: Callable[[str], np.ndarray],
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Properties of {name}")
        self.resize(*SIZE)
        self._read = read
        lines = [f"{key}: {value}" for key, value in sorted(properties.items())]
        self.text = QPlainTextEdit("\n".join(lines))
        self.text.setReadOnly(True)
        self.text.setAccessibleName("properties of the slide")
        self.copy_button = QPushButton("Copy all")
        self.copy_button.clicked.connect(self._copy)
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setWordWrap(True)
        self.picture.hide()
        self.picture_buttons = [QPushButton(f"Show {picture}") for picture in pictures]
        buttons = QHBoxLayout()
        for button, picture in zip(self.picture_buttons, pictures, strict=True):
            button.clicked.connect(lambda _=False, picture=picture: self._show(picture))
            buttons.addWidget(button)
        buttons.addStretch()
        buttons.addWidget(self.copy_button)
        privacy = QLabel(PRIVACY)
        privacy.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(privacy)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.picture)
        layout.addLayout(buttons)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text.toPlainText())

    def _show(self, picture: str) -> None:
        try:
            pixmap = QPixmap.fromImage(image_of(self._read(picture)))
        except NapariMilError as error:
            self.picture.setText(str(error))
            self.picture.show()
            return
        if max(pixmap.width(), pixmap.height()) > LARGEST_PICTURE_PX:
            pixmap = pixmap.scaled(
                LARGEST_PICTURE_PX,
                LARGEST_PICTURE_PX,
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        self.picture.setPixmap(pixmap)
        self.picture.show()
