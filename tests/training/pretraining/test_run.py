import json

import pytest
import torch

from napari_mil.encoders import create_encoder
from napari_mil.encoders.adapted_cards import read_adapted_card
from napari_mil.errors import CancelledError, NapariMilError, TrainingError
from napari_mil.events import EpochEnded, Fallback, Finished, Started
from napari_mil.settings import Settings
from napari_mil.training.pretraining import run as module
from napari_mil.training.pretraining.fitting import Adaptation
from napari_mil.training.pretraining.run import NOT_PROBED, pretrain
from napari_mil.training.pretraining.sources import find_sources
from tests.training.runs import cancelling


@pytest.fixture
def settings(tmp_path):
    return Settings(user_folder=tmp_path / "user", cache_folder=tmp_path / "cache")


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def weights(folder):
    return (folder / "encoder" / "weights.safetensors").read_bytes()


def test_a_run_leaves_an_encoder_and_says_whether_it_helped(regions, small, settings, tmp_path):
    events = []
    result = pretrain(
        regions, small(), out=tmp_path / "run", on_event=events.append, settings=settings
    )
    assert files(tmp_path / "run") == ["encoder", "history.csv", "pretraining.json", "slides.json"]
    assert files(result.encoder) == ["encoder.json", "weights.safetensors"]
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3]
    units = [event.what for event in events if isinstance(event, Started)]
    assert units == ["slides", "tiles", "epochs", "tiles", "tiles"]
    assert isinstance(events[-1], Finished)
    card = read_adapted_card(result.encoder)
    assert card.name == "run"
    assert (card.tile_px, card.mpp) == (32, 0.5)
    assert (card.training.slides, card.training.tiles, card.training.epochs) == (6, 40, 3)
    (figure,) = result.probes
    assert card.probes == result.probes
    assert "neighbouring tile" in figure.measure
    encoder = create_encoder(str(tmp_path / "run"), device="cpu")
    assert encoder.fingerprint == card.fingerprint
    released = create_encoder("efficientnet-lite0", device="cpu")
    assert encoder.fingerprint != released.fingerprint


def test_what_travels_tells_no_name(region_folder, small, settings, tmp_path):
    secret = region_folder.rename(tmp_path / "secret-hospital")
    config = small(sources=(str(secret),), epochs=1)
    result = pretrain(find_sources([secret]), config, out=tmp_path / "run", settings=settings)
    text = (result.encoder / "encoder.json").read_text()
    assert not any(word in text for word in ("secret", "region0", str(tmp_path)))


@pytest.mark.parametrize("at", [1, 2])
def test_a_cancelled_run_resumes_to_the_same_bits(regions, small, settings, tmp_path, at):
    pretrain(regions, small(), out=tmp_path / "whole", settings=settings)
    with pytest.raises(CancelledError):
        pretrain(regions, small(), out=tmp_path / "cut", settings=settings, **cancelling(at))
    assert not (tmp_path / "cut" / "encoder").exists()
    pretrain(regions, small(), out=tmp_path / "cut", settings=settings, resume=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("cut", "whole")]
    assert histories[0] == histories[1]


def test_a_run_cancelled_while_probing_needs_only_the_probe(
    regions, small, settings, tmp_path, monkeypatch
):
    def stop(*_):
        raise CancelledError("Cancelled.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "probe", stop)
        with pytest.raises(CancelledError):
            pretrain(regions, small(), out=tmp_path / "run", settings=settings)
    patch = pytest.MonkeyPatch()
    with patch.context() as only:
        only.setattr(Adaptation, "advance", lambda *_: pytest.fail("learned again"))
        pretrain(regions, small(), out=tmp_path / "run", settings=settings, resume=True)
    assert (tmp_path / "run" / "encoder").is_dir()


def test_a_finished_run_is_left_alone(regions, small, settings, tmp_path):
    first = pretrain(regions, small(), out=tmp_path / "run", settings=settings)
    again = pretrain(regions, small(), out=tmp_path / "run", settings=settings, resume=True)
    assert again.already_done
    assert again.probes == first.probes
    with pytest.raises(TrainingError, match="holds a pretraining already; resume it"):
        pretrain(regions, small(), out=tmp_path / "run", settings=settings)


def test_a_refused_or_failed_run_leaves_nothing_behind(regions, small, settings, tmp_path):
    for config in (small(device="foo"), small(level=9)):
        with pytest.raises(NapariMilError):
            pretrain(regions, config, out=tmp_path / "run", settings=settings)
        assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_is_one_sentence(regions, small, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(
        module.Adaptation, "advance", lambda *_: {"epoch": 1.0, "loss": float("nan")}
    )
    with pytest.raises(TrainingError, match="no number any more; take a smaller learning rate"):
        pretrain(regions, small(), out=tmp_path / "run", settings=settings)


def test_the_only_slide_is_probed_on_its_right_side_or_not_at_all(
    slide_path, small, settings, tmp_path
):
    cohort = find_sources([slide_path])
    events = []
    result = pretrain(cohort, small(epochs=1), out=tmp_path / "a", settings=settings)
    assert "right side of the only slide" in result.held_out
    assert result.probes[0].unit == "pairs of tiles"
    large = small(epochs=1, tile_px=448)
    result = pretrain(cohort, large, out=tmp_path / "b", settings=settings, on_event=events.append)
    assert result.probes == ()
    assert Fallback(NOT_PROBED) in events


def test_the_number_of_threads_stays_with_the_run(regions, small, settings, tmp_path):
    before = torch.get_num_threads()
    with pytest.raises(CancelledError):
        pretrain(regions, small(), out=tmp_path / "run", settings=settings, **cancelling(1))
    assert json.loads((tmp_path / "run" / "pretraining.json").read_text())["threads"] == 1
    with pytest.raises(TrainingError, match="threads 1, now 2"):
        pretrain(regions, small(threads=2), out=tmp_path / "run", settings=settings, resume=True)
    assert torch.get_num_threads() == before
