"""The process that UMAP runs in."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_mil.inference.projections import FEATURES_FILE, POINTS_FILE, UMAP_NEIGHBOURS
from napari_mil.inference.umap_process import main


@pytest.mark.parametrize(("n", "neighbours"), [(6, 5), (100, UMAP_NEIGHBOURS)])
def test_the_points_of_the_features_are_written_beside_them(tmp_path, monkeypatch, n, neighbours):
    asked = []

    def umap(**options):
        asked.append(options)
        return SimpleNamespace(fit_transform=lambda features: features[:, :2] * 2.0)

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=umap))
    monkeypatch.setattr(os, "nice", lambda by: by)
    features = np.random.default_rng(0).random((n, 4)).astype(np.float32)
    np.save(tmp_path / FEATURES_FILE, features)
    main(tmp_path)
    points = np.load(tmp_path / POINTS_FILE)
    assert points.dtype == np.float32
    assert np.array_equal(points, features[:, :2] * 2)
    assert asked[0]["n_neighbors"] == neighbours
    assert asked[0]["random_state"] == 0, "the same every time"
