"""The sample data is there and opens."""

from napari_mil.gui.samples import (
    BAG,
    CASE,
    SLIDE,
    sample_bag,
    sample_case,
    sample_path,
    sample_slide,
)


def test_the_sample_slide_opens_with_its_scale():
    assert sample_path(SLIDE).is_file()
    ((_, arguments, kind),) = sample_slide()
    assert kind == "image"
    assert arguments["name"] == "CMU-1-Small-Region"
    assert arguments["scale"][-1] < 1, "micrometres per pixel"


def test_the_images_of_the_sample_bag_are_all_there():
    assert len(list(sample_path(BAG).glob("*.*"))) >= 10
    ((data, arguments, kind),) = sample_bag()
    assert kind == "image"
    assert arguments["rgb"]
    coarsest = data[-1] if arguments["multiscale"] else data
    assert coarsest.shape[2] == 3
    assert coarsest.std() > 0, "it shows pictures, not one grey"


def test_the_sample_case_has_several_images_and_its_credit():
    assert len(list(sample_path(CASE).glob("*.jpg"))) >= 2
    assert "CC BY 4.0" in (sample_path(CASE) / "README.md").read_text()
    ((data, _, kind),) = sample_case()
    assert kind == "image"
    assert data is not None
