import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_mil.bags import tile_grid
from napari_mil.disk_cache import cached_files
from napari_mil.errors import OutputError
from napari_mil.inference.feature_cache import FeatureCache, feature_key, read_features
from napari_mil.settings import Settings

KEY = "0" * 32
FEATURES = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)


@dataclass
class SomeEncoder:
    """What of an encoder decides its features."""

    name: str = "some"
    fingerprint: str = "f"
    dim: int = 3
    tile_px: int = 64
    precision: str = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(Settings(cache_folder=tmp_path / "cache"))


def test_everything_that_decides_features_has_a_key_of_its_own(slide):
    grid = tile_grid(slide, 64, 0.5)
    half = grid.subset(np.arange(len(grid)) % 2 == 0)
    keys = [
        feature_key("slide", SomeEncoder(), grid),
        feature_key("other slide", SomeEncoder(), grid),
        feature_key("slide", SomeEncoder(), half),
        feature_key("slide", SomeEncoder(), tile_grid(slide, 64, 0.6)),
        feature_key("slide", SomeEncoder(), tile_grid(slide, 64, 0.5, overlap=0.5)),
        feature_key("slide", SomeEncoder(), tile_grid(slide, 32, 0.5)),
        feature_key("slide", SomeEncoder()),
        feature_key("slide", SomeEncoder(fingerprint="other weights"), grid),
        feature_key("slide", SomeEncoder(precision="bfloat16"), grid),
        feature_key("slide", SomeEncoder(device=torch.device("cuda")), grid),
        feature_key("slide", SomeEncoder(tile_px=32), grid),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == feature_key("slide", SomeEncoder(), tile_grid(slide, 64, 0.5))


@pytest.mark.parametrize("shape", [(40, 12), (3, 5, 2, 2), (1, 1)])
def test_features_come_back_to_the_bit(cache, shape):
    features = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    features.flat[0] = np.nan
    assert cache.load(KEY) is None
    path = cache.save(KEY, features)
    loaded = cache.load(KEY)
    assert loaded.dtype == np.float32
    assert loaded.tobytes() == features.tobytes()
    assert loaded.shape == read_features(path).shape == shape


@given(data=st.data())
def test_a_file_with_any_byte_changed_or_cut_anywhere_is_never_trusted(tmp_path_factory, data):
    cache = FeatureCache(Settings(cache_folder=tmp_path_factory.mktemp("cache")))
    path = cache.save(KEY, FEATURES)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    loaded = cache.load(KEY)
    # Padding and names of facts that are not used may change; features may not.
    assert loaded is None or loaded.tobytes() == FEATURES.tobytes()
    cache.save(KEY, FEATURES)
    assert cache.load(KEY).tobytes() == FEATURES.tobytes()


def test_a_file_under_the_name_of_another_is_not_taken_for_it(cache):
    path = cache.save(KEY, FEATURES)
    path.rename(cache.path("1" * 32))
    assert cache.load("1" * 32) is None


WRITER = """
import sys, pathlib, numpy as np
from napari_mil.inference.feature_cache import FeatureCache
from napari_mil.settings import Settings
cache = FeatureCache(Settings(cache_folder=pathlib.Path(sys.argv[1])))
features = np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32)
print("ready", flush=True)
input()
for _ in range(200):
    cache.save("0" * 32, features)
    loaded = cache.load("0" * 32)
    assert loaded is not None and loaded.tobytes() == features.tobytes()
"""


def test_two_processes_that_write_and_read_one_bag_at_once_see_it_whole(tmp_path, cache):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        subprocess.Popen(command, text=True, **pipes) as one,
        subprocess.Popen(command, text=True, **pipes) as two,
    ):
        for process in (one, two):
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            process.stdin.write("\n")
            process.stdin.flush()
        for process in (one, two):
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    assert cache.load(KEY).tobytes() == FEATURES.tobytes()
    assert [path.name for path in cache.path(KEY).parent.iterdir()] == [f"{KEY}.safetensors"]


def test_the_cache_keeps_to_its_size(tmp_path):
    one = FEATURES.nbytes + 400
    settings = Settings(cache_folder=tmp_path, cache_gb=3 * one / 1e9)
    cache = FeatureCache(settings)
    for k in range(6):
        cache.offer(f"{k:032d}", FEATURES)
    kept = [file.path.stem for file in cached_files(tmp_path)]
    assert kept == [f"{k:032d}" for k in (3, 4, 5)]
    cache.offer("9" * 32, np.concatenate([FEATURES] * 9))
    assert cache.load("9" * 32) is None, "larger than the whole cache"
    assert len(cached_files(tmp_path)) == 3


def test_a_cache_of_no_size_is_neither_read_nor_written(tmp_path, cache):
    cache.save(KEY, FEATURES)
    none = FeatureCache(Settings(cache_folder=tmp_path / "cache", cache_gb=0))
    assert none.load(KEY) is None
    none.offer("1" * 32, FEATURES)
    assert cache.load("1" * 32) is None


def test_a_cache_that_cannot_be_written_is_left_alone_when_offered(tmp_path):
    (tmp_path / "features").write_text("a file where the folder should be")
    cache = FeatureCache(Settings(cache_folder=tmp_path))
    cache.offer(KEY, FEATURES)
    with pytest.raises(OutputError, match="make room there"):
        cache.save(KEY, FEATURES)
    assert cache.load(KEY) is None
