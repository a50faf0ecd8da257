import json

import numpy as np
import pytest

from napari_mil import classify, load_classifier
from napari_mil.errors import (
    CancelledError,
    OptionError,
    TrainingError,
)
from napari_mil.events import EpochEnded, Fallback, Started
from napari_mil.inference.library import list_classifiers
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import read_config
from napari_mil.training.run import train
from tests.adapted import write_adapted
from tests.training.runs import cancelling, weights

SCRAMBLED = {
    "strategy": "lr-ham",
    "aggregator_options": {"hidden": 16, "dropout": 0.3},
    "instance_dropout": 0.2,
    "epochs": 5,
}


def test_a_run_leaves_what_was_promised(cohort, quick, settings, tmp_path):
    events = []
    result = train(
        cohort, quick(epochs=6), out=tmp_path / "run", on_event=events.append, settings=settings
    )
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock") == [
        "classifier",
        "cohort.json",
        "config.json",
        "history.csv",
    ]
    assert len(list((tmp_path / "run").rglob("weights.safetensors"))) == 1
    assert (tmp_path / "run" / "history.csv").read_text().count("\n") == 7
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3, 4, 5, 6]
    assert [event.what for event in events if isinstance(event, Started)] == ["bags", "epochs"]
    classifier = load_classifier(result.classifier)
    hits = [classify(bag.path, classifier, device="cpu").label == bag.label for bag in cohort.bags]
    assert np.mean(hits) > 0.9
    assert classifier.card.name == "run"
    assert "optimistic" in classifier.card.evaluation["headline"]
    assert "Recipe" in classifier.card.notes
    n_known = len(json.loads((tmp_path / "run" / "cohort.json").read_text())["bags"])
    assert classifier.likeness.patients == n_known
    found = [classify(bag.path, classifier, device="cpu").unlikeness for bag in cohort.bags]
    assert np.mean([each.is_unlike for each in found]) < 0.1


@pytest.mark.parametrize("fields", [{}, SCRAMBLED])
def test_a_run_that_was_cancelled_goes_on_to_the_same_bits(
    cohort, quick, settings, tmp_path, fields
):
    config = quick(**{"epochs": 5, **fields})
    train(cohort, config, out=tmp_path / "whole", settings=settings)
    for epoch in (1, 3):
        with pytest.raises(CancelledError):
            train(
                cohort,
                config,
                out=tmp_path / "cut",
                resume=True,
                settings=settings,
                **cancelling(epoch),
            )
        assert (tmp_path / "cut" / "history.csv").read_text().count("\n") == epoch + 1
    train(cohort, config, out=tmp_path / "cut", resume=True, settings=settings)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


def test_resuming_a_finished_run_does_nothing(cohort, quick, settings, tmp_path):
    train(cohort, quick(), out=tmp_path / "run", settings=settings)
    before = weights(tmp_path / "run")
    again = train(
        cohort,
        quick(),
        out=tmp_path / "run",
        resume=True,
        settings=settings,
        on_event=lambda event: pytest.fail(str(event)),
    )
    assert again.already_done
    assert weights(tmp_path / "run") == before


def test_a_run_goes_on_from_the_same_classifier_or_not_at_all(cohort, quick, settings, tmp_path):
    starts = [
        train(
            cohort, quick(seed=seed, epochs=1), out=tmp_path / f"start{seed}", settings=settings
        ).classifier
        for seed in (1, 2)
    ]
    with pytest.raises(CancelledError):
        train(
            cohort,
            quick(start_from=str(starts[0])),
            out=tmp_path / "run",
            settings=settings,
            **cancelling(1),
        )
    with pytest.raises(TrainingError, match="another classifier"):
        train(
            cohort,
            quick(start_from=str(starts[1])),
            out=tmp_path / "run",
            settings=settings,
            resume=True,
        )
    result = train(
        cohort,
        quick(start_from=str(starts[0])),
        out=tmp_path / "run",
        settings=settings,
        resume=True,
    )
    assert (
        load_classifier(result.classifier).card.training.started_from.fingerprint
        == load_classifier(starts[0]).fingerprint
    )


def test_labels_that_changed_are_not_gone_on_with(feature_folder, quick, settings, tmp_path):
    root = feature_folder(n=4)
    with pytest.raises(CancelledError):
        train(
            scan_annotated_folder(root),
            quick(),
            out=tmp_path / "run",
            settings=settings,
            **cancelling(1),
        )
    (root / "benign" / "benign_00.npy").rename(root / "malignant" / "benign_00.npy")
    with pytest.raises(TrainingError, match="their labels or regions"):
        train(
            scan_annotated_folder(root),
            quick(),
            out=tmp_path / "run",
            settings=settings,
            resume=True,
        )


def test_a_class_that_only_the_test_split_holds_is_named(feature_folder, quick, settings, tmp_path):
    root = feature_folder(n=4, classes=("a", "b", "c"))
    splits = {"a": "train", "b": "train", "c": "test"}
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{splits[path.parent.name]}"
        for path in sorted(root.glob("*/*.npy"))
    ]
    (root / "labels.csv").write_text("slide,label,split\n" + "\n".join(rows))
    with pytest.raises(TrainingError, match="no bag of the class c"):
        train(scan_annotated_folder(root), quick(), out=tmp_path / "run", settings=settings)


def test_the_result_is_listed_once_it_is_among_the_users_own(cohort, quick, settings, tmp_path):
    train(
        cohort,
        quick(epochs=1),
        out=settings.user_folder / "classifiers" / "mine",
        settings=settings,
    )
    assert "mine" not in list_classifiers(settings), "a run is no bundle"
    result = train(cohort, quick(epochs=1), out=tmp_path / "run", settings=settings)
    result.classifier.rename(settings.user_folder / "classifiers" / "named")
    assert "named" in list_classifiers(settings)


def test_what_the_run_did_can_be_repeated_from_its_file(cohort, quick, settings, tmp_path):
    train(cohort, quick(epochs=2), out=tmp_path / "run", settings=settings)
    again = read_config(tmp_path / "run" / "config.json")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["cohort"] == str(cohort.root)
    train(scan_annotated_folder(again.cohort), again, out=tmp_path / "again", settings=settings)
    assert weights(tmp_path / "run") == weights(tmp_path / "again")


def test_what_memory_decided_holds_when_memory_changes(image_folder, quick, settings, tmp_path):
    cohort = scan_annotated_folder(image_folder)
    config = quick(encoder="lenet5", epochs=3)
    whole = train(cohort, config.changed(memory_gb=8.0), out=tmp_path / "whole", settings=settings)
    with pytest.raises(CancelledError):
        train(
            cohort,
            config.changed(memory_gb=8.0),
            out=tmp_path / "cut",
            settings=settings,
            **cancelling(1),
        )
    train(
        cohort, config.changed(memory_gb=1e-6), out=tmp_path / "cut", resume=True, settings=settings
    )
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert load_classifier(whole.classifier).card.training.embedding == "joint"


def test_a_run_that_came_to_nothing_can_be_started_otherwise(cohort, quick, settings, tmp_path):
    with pytest.raises(OptionError, match="features already"):
        train(cohort, quick(encoder="texture"), out=tmp_path / "run", settings=settings)
    train(cohort, quick(epochs=1), out=tmp_path / "run", settings=settings)


def test_weights_that_overflow_are_not_saved(cohort, quick, settings, tmp_path):
    config = quick(epochs=1, learning_rate=1e38, validation=0.0, bags_per_step=24)
    with pytest.raises(TrainingError, match="no number"):
        train(cohort, config, out=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run" / "classifier").exists()
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def remarks_of(cohort, config, out, settings):
    events = []
    train(cohort, config, out=out, settings=settings, on_event=events.append)
    return [event.message for event in events if isinstance(event, Fallback)]


def test_a_fine_tune_on_the_bags_of_its_start_says_so(
    cohort, feature_folder, quick, settings, tmp_path
):
    first = train(cohort, quick(epochs=1), out=tmp_path / "first", settings=settings)
    config = quick(epochs=1, start_from=str(first.classifier))
    said = remarks_of(cohort, config, tmp_path / "same", settings)
    assert any("24 of 24 bags were training data of first" in remark for remark in said)
    other = scan_annotated_folder(feature_folder(name="other", seed=1))
    said = remarks_of(other, config, tmp_path / "otherwise", settings)
    assert not any("training data" in remark for remark in said)


def test_bags_of_a_single_instance_are_counted(feature_folder, quick, settings, tmp_path):
    root = feature_folder(n=4)
    np.save(root / "benign" / "benign_00.npy", np.zeros((1, 8), np.float32))
    cohort = scan_annotated_folder(root)
    said = remarks_of(cohort, quick(epochs=1), tmp_path / "run", settings)
    assert any("1 of 8 bags have a single instance" in remark for remark in said)


def test_unknown_patients_are_remarked_until_a_pattern_names_them(
    feature_folder, quick, settings, tmp_path
):
    cohort = scan_annotated_folder(feature_folder(n=4))
    said = remarks_of(cohort, quick(epochs=1), tmp_path / "unknown", settings)
    assert any("Patients are unknown" in remark for remark in said)
    named = quick(epochs=1, patient_pattern=r"[a-z]+_\d")
    said = remarks_of(cohort, named, tmp_path / "named", settings)
    assert not any("Patients are unknown" in remark for remark in said)


def test_a_run_is_not_gone_on_with_when_its_encoder_was_adapted_anew(
    slide_cohort, quick, settings, tmp_path
):
    folder = write_adapted(tmp_path / "mine")
    config = quick(encoder=str(folder), slide_mpp=1.0, mask="none")
    arguments = {"out": tmp_path / "run", "settings": settings}
    with pytest.raises(CancelledError):
        train(slide_cohort, config, **arguments, **cancelling(1))
    write_adapted(folder, scale=1.3)
    with pytest.raises(TrainingError, match="encoder was adapted anew"):
        train(slide_cohort, config, **arguments, resume=True)
    write_adapted(folder)
    assert train(slide_cohort, config, **arguments, resume=True).epoch


def test_a_run_among_its_bags_is_refused_and_leaves_nothing(cohort, quick, settings):
    with pytest.raises(TrainingError, match="lies among the bags"):
        train(cohort, quick(), out=cohort.root / "benign" / "run", settings=settings)
    assert not (cohort.root / "benign" / "run").exists()
