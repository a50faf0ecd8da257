"""Time that a run would take, measured before it starts."""

import pytest
import torch

from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.training import timing
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.dry_run import rehearse
from napari_mil.training.timing import TrainingTime, estimate_time

SMALL = {"transmil": {"hidden": 32, "landmarks": 8}}


@pytest.fixture
def second_a_step(monkeypatch):
    """Let every step take a second."""
    monkeypatch.setattr(timing, "_step_seconds", lambda *_: 1.0)


def estimate(**fields):
    config = make_config(device="cpu", **fields)
    return estimate_time(config, dim=8, n_classes=2, tile_px=None, training=[10] * 20)


@pytest.mark.parametrize("aggregator", list(AGGREGATORS))
def test_every_method_can_be_timed(aggregator):
    found = estimate(aggregator=aggregator, aggregator_options=SMALL.get(aggregator, {}))
    assert found.seconds > 0
    assert found.epochs == make_config(aggregator=aggregator).with_recipe().epochs


def test_a_teacher_counts_with_its_epochs():
    found = estimate(strategy="ham", epochs=10, teacher_epochs=4)
    assert found.epochs == 14


def test_measuring_leaves_the_random_state_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    estimate()
    assert torch.equal(before, torch.get_rng_state())


def test_a_bag_larger_than_is_measured_counts_in_proportion(second_a_step):
    config = make_config(aggregator="abmil", device="cpu", epochs=2)
    common = {"dim": 8, "n_classes": 2, "tile_px": None}
    large = estimate_time(config, **common, training=[20_000] * 5)
    assert large.instances == 2000
    assert large.seconds == 2 * 5 * 10


def test_a_network_that_is_trained_is_timed_with_its_images():
    config = make_config(encoder="lenet5", device="cpu", epochs=1)
    found = estimate_time(config, dim=None, n_classes=2, tile_px=28, training=[40] * 3)
    assert found.instances == 16
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (61, "2 min"), (6000, "2 h")]
)
def test_durations_are_rounded_up(seconds, words):
    assert f"about {words} at most" in TrainingTime(seconds, 10, 20, 50).words


def test_a_dry_run_says_how_long_all_epochs_take(cohort, quick, settings, second_a_step):
    said = rehearse(cohort, quick(epochs=30), settings=settings).time
    assert said.epochs == 30
    assert said.bags == 19
    assert said.seconds == pytest.approx(30 * (19 + 5 / 3))


def test_a_run_that_would_be_refused_has_no_time(feature_folder, quick, settings):
    lonely = scan_annotated_folder(feature_folder(classes=("one",)))
    assert rehearse(lonely, quick(), settings=settings).time is None
