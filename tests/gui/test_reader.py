import numpy as np
import pytest
from npe2 import PluginManifest

from napari_mil.errors import UnreadableSlideError
from napari_mil.gui import reader
from napari_mil.gui.model.actions import close_subject
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


def test_the_manifest_asks_for_slides_alone():
    manifest = PluginManifest.from_distribution("napari-mil")
    (patterns,) = [reader.filename_patterns for reader in manifest.contributions.readers]
    assert "*.svs" in patterns
    for others in ("*.tif", "*.tiff", "*.dcm", "*.czi", "*.png", "*"):
        assert others not in patterns, "files that other readers take better"


def test_what_only_looks_like_a_slide_is_refused_in_words(tmp_path):
    (tmp_path / "notes.svs").write_text("this is not a slide")
    with pytest.raises(UnreadableSlideError, match=r"notes\.svs is neither a slide"):
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


def test_samples_are_a_slide_and_a_bag_side_by_side(qapp):
    ((_, arguments, _),) = sample_slide()
    assert arguments["name"] == "CMU-1-Small-Region"
    arguments["metadata"][SLIDE_KEY].close()
    ((data, arguments, kind),) = sample_bag()
    assert kind == "image"
    assert arguments["rgb"]
    assert {level.dtype.name for level in data} == {"uint8"}


def test_a_slide_opened_by_another_reader_is_taken_over(bench, slide_path):
    bench.viewer.open(str(slide_path), plugin="napari-mil")
    bench.wait()
    assert bench.state.current_subject.path == slide_path
    assert bench.listed == ["CMU-1-Small-Region"]


def test_samples_of_the_menu_open(bench):
    bench.viewer.open_sample("napari-mil", "slide")
    bench.wait()
    assert bench.state.current_subject.name == "CMU-1-Small-Region"
    bench.session.apply(close_subject, bench.state.current)
    bench.wait()
    bench.viewer.open_sample("napari-mil", "bag")
    assert bench.listed == ["mixed-size"]
    assert bench.state.current is None, "a picture of a bag is no subject"
    bench.viewer.layers.clear()
