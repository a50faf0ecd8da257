"""Colours of values and of classes."""

from __future__ import annotations

import numpy as np

VIRIDIS = bytes.fromhex(
    "440154470d6048196b482474472e7c4538824142863e4b89"
    "3a548c365d8d32658e2e6d8e2b758e287d8e25858e228c8d"
    "20948c1e9c8920a38625ab822db27d39ba7648c16e58c765"
    "6acd5b7ed34f92d742a8db34bedf26d4e21be9e41afde725"
)
MAGMA = bytes.fromhex(
    "0000040403120b0823140e351e11492a115d38106d461077"
    "54137d6018806d1e817a2382872781942c80a2307eaf347b"
    "bd3977ca3e72d6456ce24d66ec5860f3655cf8745cfb8360"
    "fd9366fea26ffeb27afec185fed093fddfa1fceeb0fcfdbf"
)
"""32 colours of matplotlib's maps of these names (Smith and van der Walt 2015, CC0), RGB.

The canvas draws with as many.
"""
DIVERGING = bytes.fromhex("2166ac4393c3969696d6604db2182b")
"""Blue, grey at zero, red (Brewer's RdBu with a darker middle), RGB: for values with a sign."""
STRONGEST_ALPHA = 0.55
"""Cover of the highest value: the tissue under a hot tile stays readable."""
WEAKEST_ALPHA = 0.06
"""Cover of the lowest value: it leaves the tissue alone, yet differs from no tile at all."""
MARK_COLOUR = "#d4006a"
"""Stands out on pink, violet and viridis."""
CATEGORIES = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#E69F00",
    "#882255",
    "#44AA99",
    "#999933",
    "#332288",
    "#DDDDDD",
)
"""Twelve colours told apart also by the colour blind (Tol 2021; Okabe & Ito 2008)."""


def shade(values: np.ndarray, low: float, high: float, table: bytes = VIRIDIS) -> np.ndarray:
    """Return the colours of values.

    Parameters
    ----------
    values
        (...): NaN is transparent.
    low, high
        Values of the ends of the colour map.
    table
        `VIRIDIS`, `MAGMA`, or `DIVERGING` for values with a sign.

    Returns
    -------
    np.ndarray
        float32 (..., 4): RGB of 0 to 255, and a cover of 0 to 1 that rises with the value, or
        with its distance from the middle where colours diverge.
    """
    anchors = np.frombuffer(table, np.uint8).reshape(-1, 3).astype(np.float32)
    values = np.asarray(values, np.float32)
    is_known = ~np.isnan(values)
    share = np.clip((np.where(is_known, values, low) - low) / (high - low), 0, 1)
    place = share * (len(anchors) - 1)
    below = np.minimum(place.astype(np.intp), len(anchors) - 2)
    rest = (place - below)[..., None]
    colours = anchors[below] * (1 - rest) + anchors[below + 1] * rest
    strength = np.abs(2 * share - 1) if table is DIVERGING else share
    cover = WEAKEST_ALPHA + (STRONGEST_ALPHA - WEAKEST_ALPHA) * strength
    return np.concatenate([colours, np.where(is_known, cover, 0)[..., None]], -1)


def colour_of_class(k: int) -> tuple[int, int, int]:
    """Return the colour of class k, RGB of 0 to 255; the thirteenth has that of the first."""
    red, green, blue = bytes.fromhex(CATEGORIES[k % len(CATEGORIES)][1:])
    return red, green, blue
