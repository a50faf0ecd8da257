"""UMAP of the features in a folder, run as a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from napari_mil.inference.projections import FEATURES_FILE, POINTS_FILE, UMAP_NEIGHBOURS

NICENESS = 5
"""A window is used meanwhile."""


def main(folder: Path) -> None:
    """Write the points of the features that lie in a folder beside them.

    The same features give the same points: it starts from the principal components, and is seeded.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    import umap

    features = np.load(folder / FEATURES_FILE)
    method = umap.UMAP(
        n_neighbors=min(UMAP_NEIGHBOURS, len(features) - 1),
        init="pca",
        random_state=0,
        n_jobs=1,
    )
    np.save(folder / POINTS_FILE, method.fit_transform(features).astype(np.float32))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
