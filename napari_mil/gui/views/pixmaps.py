"""Pictures from arrays of pixels."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap


def image_of(pixels: np.ndarray) -> QImage:
    """Return pixels, uint8 (H, W, 3), as Qt draws them; they are copied."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels)
    return QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def pixmap_of(pixels: np.ndarray, side: int) -> QPixmap:
    """Return a picture that fits into a square.

    Parameters
    ----------
    pixels
        uint8 (H, W, 3). Larger ones are smoothed, smaller ones show their pixels.
    side
        Side of the square in points of the screen.
    """
    pixmap = QPixmap.fromImage(image_of(pixels))
    longest = max(pixels.shape[:2])
    if longest == side:
        return pixmap
    modes = Qt.TransformationMode
    mode = modes.SmoothTransformation if longest > side else modes.FastTransformation
    return pixmap.scaled(QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio, mode)
