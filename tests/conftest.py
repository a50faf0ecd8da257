"""Shared fixtures of the tests.

Real slides from the repository, painted ones with a planted answer, and the data beside the
checkout.
"""

import itertools
import os
import tempfile
from pathlib import Path

# Set before any import of napari.
os.environ["NAPARI_CONFIG"] = str(
    Path(tempfile.mkdtemp(prefix="napari-mil-tests-")) / "settings.yaml"
)
os.environ.setdefault("NAPARI_ASYNC", "0")
# The user's own classifiers and caches are not touched, also in child processes.
os.environ.update(
    {
        f"XDG_{kind}_HOME": tempfile.mkdtemp(prefix=f"napari-mil-tests-{kind}-")
        for kind in ("CACHE", "DATA", "STATE")
    }
)

import hypothesis
import numpy as np
import pytest
import tifffile

from napari_mil.slides import open_slide

# No test asserts a wall time. The suite draws the same examples in every run;
# --hypothesis-profile=search looks for new counterexamples.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SLIDE = ROOT / "sample_data" / "CMU-1-Small-Region.svs"
SHARED = ROOT.parent / "shared"


CACHES = (Path(os.environ["XDG_CACHE_HOME"]) / str(k) for k in itertools.count())


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch):
    """Give every test an empty cache, also its child processes: features are made in each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(next(CACHES)))


@pytest.fixture(scope="session")
def slide_path():
    return SAMPLE_SLIDE


@pytest.fixture
def slide(slide_path):
    with open_slide(slide_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared():
    """Return the folder with more real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the shared data is not beside this checkout")
    return SHARED


def write_pyramid(path, level0, downsamples=(1,), mpp=0.5, tile=64):
    """Write RGB pixels as a tiled TIFF pyramid that OpenSlide opens.

    Lower levels are block means.
    """
    resolution = {}
    if mpp:
        resolution = {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        for k, downsample in enumerate(downsamples):
            height, width = (side // downsample * downsample for side in level0.shape[:2])
            blocks = level0[:height, :width].reshape(
                height // downsample, downsample, width // downsample, downsample, 3
            )
            pixels = blocks.mean((1, 3)).round().astype(np.uint8)
            writer.write(
                pixels,
                tile=(tile, tile),
                photometric="rgb",
                compression="deflate",
                subfiletype=int(k > 0),
                **(resolution if k == 0 else {}),
            )
    return path


@pytest.fixture
def paint(tmp_path):
    """Return a function that writes a painted slide and opens it.

    All slides are closed at the end.
    """
    opened = []

    def write_and_open(
        level0, downsamples=(1,), mpp=0.5, tile=64, name="painted.tiff", **arguments
    ):
        path = write_pyramid(tmp_path / name, level0, downsamples, mpp, tile)
        slide = open_slide(path, **arguments)
        opened.append(slide)
        return slide

    yield write_and_open
    for slide in opened:
        slide.close()


@pytest.fixture(scope="session")
def noise():
    """Return RGB noise with structure at every scale, uint8 (601, 467, 3) of odd sides."""
    random = np.random.default_rng(7)
    coarse = np.kron(random.integers(60, 256, (20, 16, 3)), np.ones((31, 31, 1)))[:601, :467]
    return np.clip(coarse + random.integers(-40, 40, coarse.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def spoil(slide_path):
    """Return a function that puts something that is no slide at a path."""

    def put(kind, path):
        if kind == "empty":
            path.touch()
        elif kind == "text":
            path.write_text("this is not a slide\n")
        elif kind == "truncated":
            path.write_bytes(slide_path.read_bytes()[:150_000])
        elif kind == "folder":
            path.mkdir()
        elif kind == "noise":
            path.write_bytes(np.random.default_rng(0).bytes(40_000))
        elif kind == "damaged picture":
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
        elif kind == "dangling link":
            path.symlink_to(path.with_name("nowhere"))
        else:
            assert kind == "missing"

    return put
