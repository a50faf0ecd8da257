import numpy as np
import pytest

from napari_mil import load_classifier
from napari_mil.bags import Bag, write_bag
from napari_mil.bags.layout import layout_of_grid
from napari_mil.errors import OptionError
from napari_mil.events import EpochEnded, Watching
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.run import train
from napari_mil.training.watch_record import read_record
from tests.training.runs import weights


def test_slides_are_encoded_once_and_watched(slide_cohort, quick, settings, tmp_path, monkeypatch):
    events = []
    config = quick(slide_mpp=0.5, mpp=0.5, tile_px=64, mask="none", strategy="lr-ham", epochs=2)
    watched = slide_cohort.bags[0].path
    train(
        slide_cohort,
        config,
        out=tmp_path / "run",
        settings=settings,
        on_event=events.append,
        watch=watched,
    )
    (watching,) = [event for event in events if isinstance(event, Watching)]
    assert len(watching.grid) == 16
    epochs = [event.watched for event in events if isinstance(event, EpochEnded)]
    assert all(each.values.shape == (16,) for each in epochs)
    assert set(epochs[0].masks) == set(), "the teacher is trained first"
    assert set(epochs[-1].masks) == {"high", "low", "random"}
    record = read_record(tmp_path / "run")
    assert record.path == watched
    assert record.layout.covers_the_same_as(layout_of_grid(watching.grid))
    assert [epoch for epoch, _ in record.epochs] == list(range(1, len(epochs) + 1))
    for (_, kept), said in zip(record.epochs, epochs, strict=True):
        assert np.array_equal(kept.values, said.values)
        assert {name: m.tolist() for name, m in kept.masks.items()} == {
            name: m.tolist() for name, m in said.masks.items()
        }
    plain = train(slide_cohort, config, out=tmp_path / "unwatched", settings=settings)
    assert read_record(tmp_path / "unwatched") is None
    assert weights(tmp_path / "run") == weights(tmp_path / "unwatched"), "looking changes nothing"
    card = load_classifier(plain.classifier).card
    assert card.mpp_assumed
    monkeypatch.setattr(
        "napari_mil.inference.bag_embedding.embed_tiles",
        lambda *_, **__: pytest.fail("encoded again"),
    )
    train(slide_cohort, config, out=tmp_path / "third", settings=settings)


def test_features_of_another_encoder_are_not_taken_for_the_starts(
    feature_folder, quick, settings, tmp_path
):
    random = np.random.default_rng(0)
    for label in ("a", "b"):
        for k in range(4):
            write_bag(
                Bag(
                    random.normal(size=(5, 78)).astype(np.float32),
                    provenance={"encoder": "another"},
                ),
                tmp_path / "h5" / label / f"{label}{k}.h5",
            )
    config = quick(
        start_from="breast-malignancy", aggregator="gated-abmil", aggregator_options={}, epochs=1
    )
    with pytest.raises(OptionError, match="made by another encoder"):
        train(
            scan_annotated_folder(tmp_path / "h5"), config, out=tmp_path / "run", settings=settings
        )


def test_a_cache_that_was_damaged_is_made_again(slide_cohort, quick, settings, tmp_path):
    config = quick(slide_mpp=0.5, mpp=0.5, tile_px=64, mask="none", epochs=1)
    train(slide_cohort, config, out=tmp_path / "one", settings=settings)
    for path in (settings.cache_folder / "features").iterdir():
        path.write_bytes(path.read_bytes()[:900])
    train(slide_cohort, config, out=tmp_path / "two", settings=settings)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
