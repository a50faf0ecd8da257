"""Masks of tissue: what they cover, whoever made them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_mil.findings import Finding


class TissueMethod(StrEnum):
    """Rule by which tissue was found."""

    GLASS = "glass"
    """Tissue is what lies on glass."""
    WHOLE_FIELD = "whole field"
    """The picture shows no glass: all of it is tissue."""
    FLUORESCENCE = "fluorescence"
    """Tissue is the signal above a dark ground."""
    DRAWN = "drawn"
    """A person drew the mask."""


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Tissue of a whole slide as a mask.

    Attributes
    ----------
    mask
        bool (h, w).
    downsample
        Level-0 pixels per mask pixel, (along x, along y); a mask pixel (row, column) covers
        level-0 x in [column * downsample[0], (column + 1) * downsample[0]).
    method
        Rule by which the tissue was found.
    findings
        What was left out, and shares of tissue that are worth a look.
    """

    mask: np.ndarray
    downsample: tuple[float, float]
    method: TissueMethod = TissueMethod.DRAWN
    findings: tuple[Finding, ...] = ()

    @property
    def fraction(self) -> float:
        """Share of the slide that is tissue."""
        return float(self.mask.mean())

    def coverage(self, corners: np.ndarray, size0: float) -> np.ndarray:
        """Return the share of tissue in each square.

        Parameters
        ----------
        corners
            float (N, 2): (x, y) of the top left corners in level-0 pixels.
        size0
            Side in level-0 pixels.

        Returns
        -------
        np.ndarray
            float64 (N,); mask pixels at the border of a square count by the share that lies inside.
        """
        height, width = self.mask.shape
        integral = np.zeros((height + 1, width + 1), np.int32)
        # Row by row: sums over a whole axis copy the mask to wider integers.
        for above, below, row in zip(integral, integral[1:], self.mask, strict=False):
            np.cumsum(row, out=below[1:])
            below += above
        left = corners[:, 0] / self.downsample[0]
        top = corners[:, 1] / self.downsample[1]
        right = left + size0 / self.downsample[0]
        bottom = top + size0 / self.downsample[1]
        inside = (
            _bilinear(integral, bottom, right)
            - _bilinear(integral, top, right)
            - _bilinear(integral, bottom, left)
            + _bilinear(integral, top, left)
        )
        return inside / ((right - left) * (bottom - top))


def _bilinear(integral: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate a summed-area table at fractional positions.

    The table is (h + 1, w + 1); positions (n,) are clipped to its extent.
    """
    rows = np.clip(rows, 0, integral.shape[0] - 1)
    columns = np.clip(columns, 0, integral.shape[1] - 1)
    i = np.minimum(rows.astype(int), integral.shape[0] - 2)
    j = np.minimum(columns.astype(int), integral.shape[1] - 2)
    v = rows - i
    u = columns - j
    upper = integral[i, j] * (1 - u) + integral[i, j + 1] * u
    lower = integral[i + 1, j] * (1 - u) + integral[i + 1, j + 1] * u
    return upper * (1 - v) + lower * v
