import pytest

from napari_mil import load_classifier
from napari_mil.events import Fallback
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.training.memory import measure_bytes_per_image
from napari_mil.training.run import train


def test_memory_is_measured_and_the_choice_is_said(image_cohort, quick, settings, tmp_path):
    said = {}
    per_image = measure_bytes_per_image(create_backbone("resnet18", 32), 3, 32)
    for name, memory_gb in (
        ("joint", 8.0),
        ("chunks", 2.5e-9 * per_image),
        ("frozen", 0.5e-9 * per_image),
    ):
        events = []
        config = quick(encoder="resnet18", tile_px=32, epochs=1, memory_gb=memory_gb)
        result = train(
            image_cohort, config, out=tmp_path / name, settings=settings, on_event=events.append
        )
        said[name] = next(
            event.message
            for event in events
            if isinstance(event, Fallback) and "activations" in event.message
        )
        assert load_classifier(result.classifier).card.training.embedding == name
    assert "trained together" in said["joint"]
    assert "in chunks of" in said["chunks"]
    assert "stays as it is" in said["frozen"]
    assert "largest bag has 4 images" in said["joint"]


@pytest.mark.parametrize("name", list(BACKBONES))
def test_measured_memory_grows_with_the_images(name):
    spec = BACKBONES[name]
    small, large = (
        measure_bytes_per_image(create_backbone(name, side), spec.channels, side)
        for side in (28, 56)
    )
    assert small > 4 * spec.channels * 28**2
    assert 3 < large / small < 8
