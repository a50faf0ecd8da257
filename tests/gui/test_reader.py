import numpy as np
import pytest

from napari_mil.errors import UnreadableSlideError
from napari_mil.gui import reader
from napari_mil.gui.reader import SLIDE_KEY, get_reader, read_slides, slide_layer
from napari_mil.gui.samples import sample_bag, sample_slide


def test_a_slide_becomes_a_lazy_multiscale_layer_in_micrometres(slide_path):
    ((data, arguments, kind),) = read_slides(str(slide_path))
    assert kind == "image"
    assert arguments["name"] == "CMU-1-Small-Region"
    assert arguments["multiscale"]
    assert arguments["rgb"]
    assert arguments["scale"] == (0.499, 0.499)
    assert arguments["units"] == ("um", "um")
    assert [level.shape for level in data] == [(2967, 2220, 3), (1484, 1110, 3), (742, 555, 3)]
    assert data[0].chunks[0][0] == 480, "twice the file's tile of 240"
    assert isinstance(data[-1], np.ndarray), "napari needs the coarsest level whole"
    arguments["metadata"][SLIDE_KEY].close()


def test_without_a_scale_no_micrometre_is_invented(paint, noise):
    _, arguments, _ = slide_layer(paint(noise, mpp=None))
    assert arguments["units"] == ("pixel", "pixel")
    assert arguments["scale"] == (1, 1)


def test_files_that_are_no_slides_are_left_to_other_readers(tmp_path, slide_path):
    import tifffile

    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((20, 20), np.uint16))
    assert get_reader(str(tmp_path / "photo.tif")) is None
    assert get_reader(str(slide_path)) is read_slides
    assert get_reader([str(slide_path), str(tmp_path / "photo.tif")]) is None


def test_what_only_looks_like_a_slide_is_refused_in_words(tmp_path):
    (tmp_path / "notes.svs").write_text("this is not a slide")
    with pytest.raises(UnreadableSlideError, match=r"notes\.svs is not a slide"):
        get_reader(str(tmp_path / "notes.svs"))(str(tmp_path / "notes.svs"))


def test_pixels_that_turn_out_damaged_are_grey_and_reported_once(slide, monkeypatch):
    said = []
    monkeypatch.setattr(reader, "show_error", said.append)
    data, _, _ = slide_layer(slide)

    def fail(*_):
        raise UnreadableSlideError("CMU-1-Small-Region.svs has pixels that cannot be read.")

    slide._cache.clear()
    monkeypatch.setattr(slide._backend, "read", fail)
    assert (data[0][1000:1010, 1000:1020] == reader.UNREADABLE_GREY).all()
    assert data[0][1000:1010, 1000:1020].shape == (10, 20, 3)
    assert said == ["CMU-1-Small-Region.svs has pixels that cannot be read."]


def test_samples_are_a_slide_and_a_bag_of_ten_images():
    ((_, arguments, _),) = sample_slide()
    assert arguments["name"] == "CMU-1-Small-Region"
    arguments["metadata"][SLIDE_KEY].close()
    bag = sample_bag()
    assert len(bag) == 10
    assert len({arguments["translate"] for _, arguments, _ in bag}) == 10
    assert {data.dtype.name for data, _, _ in bag} == {"uint8", "uint16"}
    assert all(
        low < high for _, arguments, _ in bag for low, high in [arguments["contrast_limits"]]
    )


def test_the_manifest_offers_reader_samples_and_workbench(bench, slide_path):
    bench.viewer.open(str(slide_path), plugin="napari-mil")
    assert bench.workbench.state.current.slide.path == slide_path
    bench.viewer.layers.clear()
    bench.viewer.open_sample("napari-mil", "slide")
    assert "CMU-1-Small-Region" in bench.viewer.layers
    bench.viewer.layers.clear()
    bench.viewer.open_sample("napari-mil", "bag")
    assert len(bench.viewer.layers) == 10
    assert bench.workbench.state.current is None, "images of a bag are no slides"
