import hashlib
import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from napari_mil.bags import Bag, open_image_bag, read_bag, write_bag
from napari_mil.bags.images import read_image
from napari_mil.bags.readers import count_instances
from napari_mil.errors import BagError, CheckpointError, OutputError

FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
COORDS = np.arange(14).reshape(7, 2) * 128


@pytest.mark.parametrize(
    "name",
    [
        "trident/20x_128px_0px_overlap/features_toy32/SYN-01-A1-01.h5",
        "trident/20x_128px_0px_overlap/features_toy32/SYN-01-A1-01.pt",
        "trident/10x_128px_0px_overlap/features_toy16/SYN-01-A1-01.h5",
        "clam/feats/h5_files/SYN-01-A1-01.h5",
        "clam/feats/pt_files/SYN-01-A1-01.pt",
        "slideflow/bags/SYN-01-A1-01.pt",
        "slide2vec/tile_embeddings/SYN-01-A1-01.pt",
        "plain/SYN-01-A1-01.npy",
        "plain/SYN-01-A1-01_xy.npz",
        "plain/SYN-01-A1-01_dict.pt",
        "stamp/toy16-49b04e14/SYN-01-A1-01.h5",
    ],
)
def test_files_of_other_tools_say_what_they_should(shared, name):
    expected = json.loads((shared / "data/interop/expected.json").read_text())
    entry = next(entry for entry in expected if entry["path"] == name)
    bag = read_bag(shared / "data/interop" / name)
    assert (
        hashlib.sha256(bag.features.astype("<f4").tobytes()).hexdigest()[:16] == entry["sha256_16"]
    )
    assert count_instances(shared / "data/interop" / name) == len(bag)


def test_coordinates_in_micrometres_need_the_slides_scale(shared):
    from napari_mil import open_slide

    path = shared / "data/interop/stamp/toy16-49b04e14/SYN-01-A1-01.h5"
    alone = read_bag(path)
    assert alone.coords is None
    assert "scale is unknown" in alone.warnings[0]
    with open_slide(shared / "data/interop/slides/SYN-01-A1-01.svs") as slide:
        placed = read_bag(path, slide)
    assert placed.coords[0].tolist() == [771, 0]
    assert placed.tile_size0 == pytest.approx(256.513, abs=1e-3)


def test_the_tile_size_of_clam_comes_from_its_patches(shared):
    assert read_bag(shared / "data/interop/clam/feats/h5_files/SYN-01-A1-01.h5").tile_size0 == 128


def test_a_bag_that_was_written_is_read_back(tmp_path):
    bag = Bag(FEATURES, COORDS, 443.04, provenance={"encoder": "abc", "grid": "g"})
    write_bag(bag, tmp_path / "a" / "slide.h5")
    again = read_bag(tmp_path / "a" / "slide.h5")
    assert np.array_equal(again.features, FEATURES)
    assert np.array_equal(again.coords, COORDS)
    assert again.tile_size0 == 443.04
    assert again.provenance["encoder"] == "abc"
    with h5py.File(tmp_path / "a" / "slide.h5") as file:  # as TRIDENT has it
        assert file["coords"].attrs["patch_size_level0"] == 443
        assert file["coords"].dtype == np.int64
    write_bag(Bag(FEATURES, names=tuple("abcdefg")), tmp_path / "images.h5")
    assert read_bag(tmp_path / "images.h5").names == tuple("abcdefg")
    assert [path.name for path in tmp_path.glob("**/*.part")] == []


def test_a_bag_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"slide\.h5 cannot be written"):
        write_bag(Bag(FEATURES), tmp_path / "file" / "slide.h5")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_safetensors_of_every_precision(tmp_path, dtype):
    save_torch_file(
        {"features": torch.from_numpy(FEATURES).to(dtype), "coords": torch.from_numpy(COORDS)},
        tmp_path / "a.safetensors",
    )
    bag = read_bag(tmp_path / "a.safetensors")
    assert bag.features.dtype == np.float32
    assert np.allclose(bag.features, torch.from_numpy(FEATURES).to(dtype).float().numpy())
    assert bag.coords.tolist() == COORDS.tolist()


@pytest.mark.parametrize(
    "content",
    [
        lambda x: x,
        lambda x: x[None],
        lambda x: x[:, :, None, None],
        lambda x: list(x),
        lambda x: {"feats": x},
        lambda x: x.bfloat16().float(),
        lambda x: torch.nn.Parameter(x),
        lambda x: (x, torch.zeros(7, 2)),
        lambda x: x.numpy(),
    ],
)
def test_torch_files_hold_features_in_many_forms(tmp_path, content):
    torch.save(content(torch.from_numpy(FEATURES)), tmp_path / "a.pt")
    assert read_bag(tmp_path / "a.pt").features.shape == (7, 5)


class Code:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("empty.h5", lambda path: path.touch()),
        ("text.pt", lambda path: path.write_text("no features")),
        (
            "cut.h5",
            lambda path: (
                write_bag(Bag(FEATURES), path),
                path.write_bytes(path.read_bytes()[:600]),
            ),
        ),
        (
            "cut.npy",
            lambda path: (np.save(path, FEATURES), path.write_bytes(path.read_bytes()[:140])),
        ),
        (
            "cut.safetensors",
            lambda path: (
                save_file({"features": FEATURES}, path),
                path.write_bytes(path.read_bytes()[:-5]),
            ),
        ),
        (
            "cut.pt",
            lambda path: (
                torch.save(torch.ones(500, 5), path),
                path.write_bytes(path.read_bytes()[:400]),
            ),
        ),
        ("none.safetensors", lambda path: save_file({"features": FEATURES[:0]}, path)),
        ("vector.pt", lambda path: torch.save(torch.ones(512), path)),
        ("nan.npy", lambda path: np.save(path, np.where(FEATURES > 1, np.nan, FEATURES))),
        ("words.npy", lambda path: np.save(path, np.array([["a", "b"]]))),
        ("other.npz", lambda path: np.savez(path, a=FEATURES, b=FEATURES)),
        ("lengths.npz", lambda path: np.savez(path, features=FEATURES, coords=COORDS[:3])),
        ("ragged.pt", lambda path: torch.save([torch.ones(3), torch.ones(4)], path)),
        ("weights.pt", lambda path: torch.save({"layer.weight": torch.ones(3, 3)}, path)),
        ("missing.pt", lambda path: None),
    ],
)
def test_a_file_without_features_is_refused_in_one_sentence(tmp_path, name, write):
    path = tmp_path / name
    write(path)
    with pytest.raises((BagError, CheckpointError), match=name) as refused:
        read_bag(path)
    assert "\n" not in str(refused.value)


def test_code_in_a_pickle_is_not_run(tmp_path, capsys):
    torch.save({"features": Code()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="could run code"):
        read_bag(tmp_path / "evil.pt")
    assert capsys.readouterr().out == ""


def write_image(path, pixels):
    import tifffile
    from PIL import Image

    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def test_a_folder_of_images_keeps_names_order_and_sizes(tmp_path):
    for name, side in (("cell10.png", 8), ("cell2.PNG", 12), ("cell1.jpg", 9)):
        write_image(tmp_path / name, np.full((side, side + 1, 3), 100, np.uint8))
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    bag = open_image_bag(tmp_path)
    assert bag.names == ("cell1.jpg", "cell2.PNG", "cell10.png")
    assert [bag.read(i).shape for i in range(3)] == [(9, 10, 3), (12, 13, 3), (8, 9, 3)]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.full((4, 6), 77, np.uint8), [77, 77, 77]),
        (np.full((4, 6), 4095, np.uint16), [255, 255, 255]),
        (np.full((4, 6, 3), 9, np.uint8), [9, 9, 9]),
        (np.full((4, 6), 0.25, np.float32), [255, 255, 255]),
        (np.zeros((4, 6), np.uint16), [0, 0, 0]),
    ],
)
def test_every_kind_of_pixels_becomes_rgb(tmp_path, pixels, expected):
    write_image(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == expected


def test_transparent_is_white(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((3, 3, 4), np.uint8))
    assert read_image(tmp_path / "a.png").min() == 255


def test_real_folders_of_microscopy_images_open(shared):
    counts = {
        "hpa-cells": 40,
        "fly-kc167": 3,
        "mixed-size": 10,
        "mixed-ish": 12,
        "bdgp-ish/Dl_9-10": 7,
    }
    for name, n in counts.items():
        bag = open_image_bag(shared / "data/bags" / name)
        assert len(bag) == n
        assert all(bag.read(i).dtype == np.uint8 for i in range(n))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"text"])
def test_a_damaged_picture_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(BagError, match=r"bad\.png"):
        read_image(tmp_path / "bad.png")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BagError, match="holds no image"):
        open_image_bag(tmp_path)
    with pytest.raises(BagError, match="cannot be read"):
        open_image_bag(tmp_path / "nowhere")
