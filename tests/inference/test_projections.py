"""Bags in two dimensions."""

import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.errors import CancelledError, NapariMilError
from napari_mil.events import CancellationToken
from napari_mil.inference import projections
from napari_mil.inference.projections import (
    Method,
    has_umap,
    principal_components,
    project,
)


def bag(n, width, seed=0):
    rng = np.random.default_rng(seed)
    spread = np.geomspace(10, 0.1, width)
    mixing = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(n, width)) * spread @ mixing + 5).astype(np.float32)


@given(st.integers(3, 60), st.integers(2, 12), st.integers(0, 2**31))
def test_components_are_those_of_the_singular_value_decomposition(n, width, seed):
    vectors = bag(n, width, seed)
    points, shares = principal_components(vectors, 2)
    centred = vectors - vectors.mean(0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ axes[:2].T
    expected *= np.sign((expected * points).sum(0))
    scale = np.abs(expected).max()
    # The second axis is any where its length is that of the third.
    clear = lengths[0] > 1.001 * lengths[1]
    if clear:
        assert points[:, 0] == pytest.approx(expected[:, 0], abs=1e-3 * scale)
    assert shares == pytest.approx(lengths[:2] ** 2 / (lengths**2).sum(), abs=1e-6)


def test_signs_are_the_same_whatever_the_order_and_across_runs():
    vectors = bag(200, 16)
    points, _ = principal_components(vectors, 2)
    order = np.random.default_rng(1).permutation(len(vectors))
    again, _ = principal_components(vectors[order], 2)
    assert again == pytest.approx(points[order], abs=1e-3)
    same, _ = principal_components(vectors.copy(), 2)
    assert np.array_equal(same, points)


def test_blocks_of_rows_give_what_the_whole_gives(monkeypatch):
    vectors = bag(100, 8)
    whole, _ = principal_components(vectors, 2)
    monkeypatch.setattr(projections, "ROWS_AT_ONCE", 7)
    parts, _ = principal_components(vectors, 2)
    assert parts == pytest.approx(whole, abs=1e-4)


def test_a_bag_of_one_and_features_of_width_one_have_points():
    one = project(np.ones((1, 4), np.float32), Method.PCA, CancellationToken())
    assert one.points.tolist() == [[0, 0]]
    assert one.shares == (0, 0)
    thin = project(np.arange(4, dtype=np.float32)[:, None], Method.PCA, CancellationToken())
    assert thin.points[:, 0].tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert not thin.points[:, 1].any()


def test_a_line_has_no_second_axis():
    line = np.arange(10, dtype=np.float32)[:, None] * np.array([[1, 2, 2]], np.float32)
    made = project(line, Method.PCA, CancellationToken())
    assert not made.points[:, 1].any()
    assert made.shares == pytest.approx((1, 0))


def test_maps_count_by_their_mean_over_space():
    maps = np.random.default_rng(0).random((12, 3, 4, 5)).astype(np.float32)
    of_maps = project(maps, Method.PCA, CancellationToken())
    of_means = project(maps.mean((2, 3)), Method.PCA, CancellationToken())
    assert np.array_equal(of_maps.points, of_means.points)


def test_memory_does_not_grow_with_a_second_copy_of_the_bag():
    vectors = bag(60_000, 64)
    principal_components(vectors[:100], 2)
    tracemalloc.start()
    principal_components(vectors, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < vectors.nbytes


@pytest.mark.parametrize("method", Method)
def test_a_cancelled_projection_comes_to_nothing(method, monkeypatch):
    monkeypatch.setattr(projections, "has_umap", lambda: True)
    cancel = CancellationToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        project(bag(20, 4), method, cancel)


def test_without_the_package_umap_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(projections, "has_umap", lambda: False)
    with pytest.raises(NapariMilError, match="umap"):
        project(bag(20, 4), Method.UMAP, CancellationToken())


def replace_process(monkeypatch, code):
    """Let a process of this code take the place of UMAP's."""
    begin = projections.subprocess.Popen

    def instead(command, **options):
        return begin([command[0], "-c", code, command[-1]], **options)

    monkeypatch.setattr(projections, "has_umap", lambda: True)
    monkeypatch.setattr(projections.subprocess, "Popen", instead)


def test_a_running_umap_is_ended_when_it_is_cancelled(monkeypatch):
    replace_process(monkeypatch, "import time; time.sleep(60)")
    cancel = CancellationToken()
    threading.Timer(0.3, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        project(bag(20, 4), Method.UMAP, cancel)
    assert time.monotonic() - begun < 30


def test_a_umap_that_fails_says_why(monkeypatch):
    replace_process(monkeypatch, "raise MemoryError('too large')")
    with pytest.raises(NapariMilError, match="too large"):
        project(bag(20, 4), Method.UMAP, CancellationToken())


@pytest.mark.slow
@pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed")
def test_umap_keeps_groups_together_and_is_the_same_every_time():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 40)
    vectors = rng.normal(groups[:, None] * 20, 1, (80, 10)).astype(np.float32)
    first = project(vectors, Method.UMAP, CancellationToken())
    second = project(vectors, Method.UMAP, CancellationToken())
    assert np.array_equal(first.points, second.points)
    centres = np.stack([first.points[groups == k].mean(0) for k in (0, 1)])
    nearest = np.linalg.norm(first.points[:, None] - centres, axis=2).argmin(1)
    assert np.array_equal(nearest, groups)
