import shutil

import numpy as np
import pytest

from napari_mil.errors import NapariMilError, TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.pretraining import sources
from napari_mil.training.pretraining.sources import find_sources
from tests.conftest import write_pyramid


def test_a_slide_is_itself(slide_path):
    found = find_sources([slide_path])
    assert [bag.path for bag in found.bags] == [slide_path]
    assert found.classes == ()


def test_a_folder_of_slides_is_each_of_them(slide_path, tmp_path):
    for name in ("TCGA-AB-1234-01.svs", "b.svs"):
        (tmp_path / name).symlink_to(slide_path)
    (tmp_path / "bad.svs").write_text("no slide")
    (tmp_path / "thumbnail.png").write_bytes(b"")
    found = find_sources([tmp_path])
    assert [bag.path.name for bag in found.bags] == ["TCGA-AB-1234-01.svs"]
    assert found.bags[0].patient == "TCGA-AB-1234"
    assert {finding.path.name: finding.kind for finding in found.skipped} == {
        "bad.svs": FindingKind.SKIPPED,
        "b.svs": FindingKind.COPY,
    }


def test_large_tiffs_in_a_folder_are_slides(tmp_path, noise, monkeypatch):
    for name, pixels in (("a", noise), ("b", noise[::-1])):
        write_pyramid(tmp_path / f"{name}.tif", pixels)
    assert len(find_sources([tmp_path])) == 1, "small pictures are one bag"
    monkeypatch.setattr(sources, "LARGEST_MP", 0.1)
    assert len(find_sources([tmp_path])) == 2


def test_a_folder_of_images_is_one_bag(image_bag):
    (bag,) = find_sources([image_bag]).bags
    assert (bag.path, bag.n) == (image_bag, 6)


def test_an_annotated_folder_keeps_its_classes(region_folder):
    found = find_sources([region_folder])
    assert found.classes == ("left", "right")
    assert len(found) == 8


def test_labels_count_only_where_every_bag_has_one(region_folder, slide_path):
    assert find_sources([region_folder, slide_path]).classes == ()


def test_the_same_slide_given_twice_is_used_once(region_folder):
    twice = find_sources([region_folder, region_folder])
    assert len(twice) == 8


def test_features_are_left_out_and_said_to_be(region_folder):
    np.save(region_folder / "left" / "features.npy", np.zeros((4, 3)))
    found = find_sources([region_folder])
    assert [finding.path.name for finding in found.skipped] == ["features.npy"]
    shutil.rmtree(region_folder / "right")
    for path in (region_folder / "left").glob("*.tiff"):
        path.unlink()
    with pytest.raises(TrainingError, match="an encoder is adapted to pixels"):
        find_sources([region_folder])


@pytest.mark.parametrize("kind", ["nothing", "text", "empty folder"])
def test_what_holds_no_slide_is_one_sentence(tmp_path, kind):
    path = tmp_path / "thing"
    if kind == "text":
        path.write_text("no slide")
    elif kind == "empty folder":
        path.mkdir()
    with pytest.raises(NapariMilError) as caught:
        find_sources([path])
    assert "\n" not in str(caught.value)
    assert "thing" in str(caught.value)


def test_slides_without_a_scale_are_found_as_well(tmp_path, noise):
    write_pyramid(tmp_path / "plain.tiff", noise, mpp=None)
    assert find_sources([tmp_path / "plain.tiff"]).bags[0].mpp is None
