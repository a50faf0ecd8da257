import numpy as np
import pytest

from napari_mil import load_classifier
from napari_mil.errors import OptionError
from napari_mil.events import ignore
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.instances import choose_instances
from napari_mil.training.run import train


def test_fine_tuning_starts_from_a_classifier(slide_cohort, quick, settings, tmp_path):
    """A shipped classifier gives encoder, tiling, scaling and weights."""
    config = quick(
        start_from="breast-malignancy",
        aggregator="gated-abmil",
        aggregator_options={},
        epochs=1,
        slide_mpp=0.25,
        mask="none",
    )
    said = []
    result = train(
        slide_cohort, config, out=tmp_path / "run", settings=settings, on_event=said.append
    )
    shipped = load_classifier("breast-malignancy")
    tuned = load_classifier(result.classifier)
    assert (tuned.card.tile_px, tuned.card.mpp, tuned.card.encoder) == (
        shipped.card.tile_px,
        shipped.card.mpp,
        shipped.card.encoder,
    )
    assert np.array_equal(tuned.mean.numpy(), shipped.mean.numpy())
    assert tuned.card.training.started_from.name == "breast-malignancy"
    assert tuned.card.licence == shipped.card.licence
    with pytest.raises(OptionError, match="leave the aggregator out"):
        train(
            slide_cohort,
            config.changed(aggregator="dsmil"),
            out=tmp_path / "other",
            settings=settings,
        )


def instances_of(cohort, config, events=None):
    listen = ignore if events is None else events.append
    return choose_instances(cohort, config, None, listen)


def test_features_keep_no_encoder_and_refuse_one(cohort, quick):
    instances, encoder = instances_of(cohort, quick())
    assert (instances.kind, instances.encoder, encoder) == ("features", None, None)
    with pytest.raises(OptionError, match="features already"):
        instances_of(cohort, quick(encoder="texture"))


def test_a_trained_network_takes_images_of_its_own_size(image_folder, quick):
    cohort = scan_annotated_folder(image_folder)
    instances, encoder = instances_of(cohort, quick(encoder="lenet5"))
    assert instances.trained
    assert encoder is None
    assert (instances.kind, instances.tile_px, instances.mpp) == ("images", 28, None)


def test_default_tiles_of_small_slides_shrink_and_it_is_said(slide_cohort, quick):
    events = []
    instances, encoder = instances_of(slide_cohort, quick(slide_mpp=0.5), events)
    assert instances.tile_px < encoder.tile_px
    assert instances.mpp_assumed
    assert any(f"Tiles of {instances.tile_px} px instead of" in event.message for event in events)


def test_a_wanted_tile_size_is_kept_unless_the_encoder_needs_more(slide_cohort, quick):
    instances, _ = instances_of(slide_cohort, quick(slide_mpp=0.5, tile_px=64))
    assert instances.tile_px == 64
    with pytest.raises(OptionError, match="too small for the encoder"):
        instances_of(slide_cohort, quick(slide_mpp=0.5, tile_px=1))
