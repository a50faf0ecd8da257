import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from filelock import FileLock

from napari_mil import classify, load_classifier
from napari_mil.errors import (
    CancelledError,
    NapariMilError,
    OptionError,
    OutputError,
    TrainingError,
)
from napari_mil.events import CancellationToken, EpochEnded, Fallback, Started, Watching
from napari_mil.inference.facts import SplitCounts
from napari_mil.inference.library import list_classifiers
from napari_mil.training.run import train
from napari_mil.training.run_folder import RunFolder
from napari_mil.training.scanning import scan_annotated_folder

SCRAMBLED = {
    "strategy": "lr-ham",
    "aggregator_options": {"hidden": 16, "dropout": 0.3},
    "instance_dropout": 0.2,
    "epochs": 5,
}


def weights(run):
    return (run / "classifier" / "weights.safetensors").read_bytes()


def cancelling(at):
    """A token and a listener that sets it after so many epochs."""
    token = CancellationToken()

    def listen(event):
        if isinstance(event, EpochEnded) and event.epoch >= at:
            token.cancel()

    return {"cancel": token, "on_event": listen}


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


def test_a_bundle_says_nothing_of_names_paths_and_patients(
    feature_folder, quick, settings, tmp_path
):
    root = feature_folder(name="secret-hospital")
    (root / "labels.csv").write_text(
        "slide,label,patient\n"
        + "".join(
            f"{p.parent.name}/{p.name},{p.parent.name},Jane-{k}\n"
            for k, p in enumerate(sorted(root.glob("*/*.npy")))
        )
    )
    result = train(
        scan_annotated_folder(root), quick(epochs=1), out=tmp_path / "run", settings=settings
    )
    text = "".join(
        path.read_text() for path in result.classifier.iterdir() if path.suffix in (".json", ".md")
    )
    assert not any(word in text for word in ("secret", "Jane", "benign_00", str(tmp_path)))


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


def test_a_run_is_not_overwritten_and_not_continued_otherwise(
    cohort, feature_folder, quick, settings, tmp_path
):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    checkpoint = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"holds a run already.*resume"):
        train(cohort, quick(), out=tmp_path / "run", settings=settings)
    with pytest.raises(TrainingError, match="started with epochs 4, now 9"):
        train(cohort, quick(epochs=9), out=tmp_path / "run", resume=True, settings=settings)
    other = scan_annotated_folder(feature_folder(n=13, name="other"))
    with pytest.raises(TrainingError, match="bags changed since"):
        train(other, quick(), out=tmp_path / "run", resume=True, settings=settings)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == checkpoint


@pytest.mark.parametrize(
    "name", ["classifier/notes.txt", "config.json", "history.csv", "checkpoint.pt"]
)
def test_files_of_somebody_else_are_not_written_over(cohort, quick, settings, tmp_path, name):
    theirs = tmp_path / "run" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text('{"mine": 1}')
    with pytest.raises(TrainingError, match=name.split("/")[0]):
        train(cohort, quick(), out=tmp_path / "run", settings=settings)
    assert theirs.read_text() == '{"mine": 1}'


def test_a_checkpoint_without_its_configuration_or_its_bags_is_not_gone_on_with(
    cohort, feature_folder, quick, settings, tmp_path
):
    run = tmp_path / "run"
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=run, settings=settings, **cancelling(2))
    kept = {
        name: (run / name).read_bytes() for name in ("config.json", "cohort.json", "checkpoint.pt")
    }
    (run / "config.json").unlink()
    for resume in (False, True):
        with pytest.raises(
            TrainingError, match=r"checkpoint\.pt and history\.csv and cohort\.json, but no run"
        ):
            train(cohort, quick(learning_rate=0.5), out=run, settings=settings, resume=resume)
    (run / "config.json").write_bytes(kept["config.json"])
    (run / "cohort.json").unlink()
    with pytest.raises(TrainingError, match=r"cohort\.json of run cannot be read"):
        train(cohort, quick(), out=run, settings=settings, resume=True)
    (run / "cohort.json").write_bytes(kept["cohort.json"])
    state = torch.load(run / "checkpoint.pt", weights_only=False)
    torch.save({"fitting": {**state["fitting"], "network": {}}}, run / "checkpoint.pt")
    with pytest.raises(TrainingError, match="does not fit its configuration"):
        train(cohort, quick(), out=run, settings=settings, resume=True)


def test_a_refused_run_leaves_nothing_behind(cohort, quick, settings, tmp_path):
    vast = {"aggregator_options": {"hidden": 10**11}}
    for fields in (
        {"device": "foo"},
        {"positive_class": "foo"},
        {"aggregator_options": {"foo": 1}},
        vast,
        {"encoder": "texture"},
    ):
        with pytest.raises(NapariMilError):
            train(cohort, quick(**fields), out=tmp_path / "run", settings=settings)
        assert not (tmp_path / "run").exists(), fields
    (tmp_path / "mine").mkdir()
    with pytest.raises(NapariMilError):
        train(cohort, quick(device="foo"), out=tmp_path / "mine", settings=settings)
    assert (tmp_path / "mine").is_dir(), "a folder that was there stays"


def test_what_a_killed_process_was_writing_is_cleared_away(cohort, quick, settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".checkpoint.pt.123.part").write_bytes(b"half")
    train(cohort, quick(epochs=1), out=tmp_path / "run", settings=settings)
    assert not list((tmp_path / "run").glob(".*.part"))


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


def test_memory_may_be_changed_on_the_way_and_threads_may_not(cohort, quick, settings, tmp_path):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    with pytest.raises(TrainingError, match="threads 1, now 2"):
        train(cohort, quick(threads=2), out=tmp_path / "run", settings=settings, resume=True)
    train(cohort, quick(memory_gb=0.5), out=tmp_path / "run", settings=settings, resume=True)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["memory_gb"] == 0.5


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
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{'test' if path.parent.name == 'c' else 'train'}"
        for path in sorted(root.glob("*/*.npy"))
    ]
    (root / "labels.csv").write_text("slide,label,split\n" + "\n".join(rows))
    with pytest.raises(TrainingError, match="no bag of the class c"):
        train(scan_annotated_folder(root), quick(), out=tmp_path / "run", settings=settings)


def test_a_start_that_knows_other_classes_gives_everything_but_their_layers(
    feature_folder, quick, settings, tmp_path
):
    first = train(
        scan_annotated_folder(feature_folder(n=4)),
        quick(epochs=1),
        out=tmp_path / "first",
        settings=settings,
    ).classifier
    said = []
    others = scan_annotated_folder(feature_folder(n=4, classes=("liver", "spleen"), name="others"))
    train(
        others,
        quick(epochs=1, learning_rate=1e-9, start_from=str(first)),
        out=tmp_path / "second",
        on_event=said.append,
        settings=settings,
    )
    assert any(
        "The classes are others" in event.message and "start fresh" in event.message
        for event in said
        if isinstance(event, Fallback)
    )
    before, after = (
        load_classifier(folder).aggregator.state_dict()
        for folder in (first, tmp_path / "second" / "classifier")
    )
    same = {key for key in before if torch.allclose(before[key], after[key], atol=1e-6)}
    assert {key for key in before if key not in same} == {"classifier.weight", "classifier.bias"}


def test_a_second_run_in_the_same_folder_is_held_off(cohort, quick, settings, tmp_path):
    (tmp_path / "run").mkdir()
    holder = "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(TrainingError, match="Another run is at work"):
            train(cohort, quick(), out=tmp_path / "run", settings=settings)
        other.kill()
    train(
        cohort, quick(epochs=1), out=tmp_path / "run", settings=settings
    )  # the lock died with its holder
    assert not FileLock(tmp_path / "run" / ".lock").is_locked


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(
    cohort, quick, settings, tmp_path, monkeypatch
):
    train(cohort, quick(epochs=5), out=tmp_path / "whole", settings=settings)
    written = []
    fsync = os.fsync

    def full_after(descriptor):
        written.append(descriptor)
        if len(written) > 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after)
    with pytest.raises(OutputError, match=r"No space left on device.*resume"):
        train(cohort, quick(epochs=5), out=tmp_path / "run", settings=settings)
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.endswith(".part")]
    assert RunFolder(tmp_path / "run").load()["fitting"]["epoch"] >= 1
    train(cohort, quick(epochs=5), out=tmp_path / "run", resume=True, settings=settings)
    assert weights(tmp_path / "whole") == weights(tmp_path / "run")


def test_a_data_folder_that_vanished_is_named_and_the_checkpoint_stays(
    feature_folder, quick, settings, tmp_path
):
    root = feature_folder()
    cohort = scan_annotated_folder(root)
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(TrainingError, match="not there any more"):
        train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    (tmp_path / "elsewhere").rename(root)
    train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)


def test_a_damaged_checkpoint_is_named(cohort, quick, settings, tmp_path):
    with pytest.raises(CancelledError):
        train(cohort, quick(), out=tmp_path / "run", settings=settings, **cancelling(1))
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="checkpoint of run cannot be read"):
        train(cohort, quick(), out=tmp_path / "run", resume=True, settings=settings)


def test_fine_tuning_starts_from_a_classifier(slide_cohort, quick, settings, tmp_path):
    """A shipped classifier gives encoder, tiling, scaling and weights; new classes get a fresh output."""
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
    shipped, ours = load_classifier("breast-malignancy"), load_classifier(result.classifier)
    assert (ours.card.tile_px, ours.card.mpp, ours.card.encoder) == (
        shipped.card.tile_px,
        shipped.card.mpp,
        shipped.card.encoder,
    )
    assert np.array_equal(ours.mean.numpy(), shipped.mean.numpy())
    assert ours.card.training.started_from.name == "breast-malignancy"
    assert ours.card.licence == shipped.card.licence
    with pytest.raises(OptionError, match="leave the aggregator out"):
        train(
            slide_cohort,
            config.changed(aggregator="dsmil"),
            out=tmp_path / "other",
            settings=settings,
        )


def test_three_classes_start_from_two(feature_folder, quick, settings, tmp_path):
    first = train(
        scan_annotated_folder(feature_folder()),
        quick(epochs=1),
        out=tmp_path / "two",
        settings=settings,
    )
    three = scan_annotated_folder(feature_folder(classes=("a", "b", "c"), name="three"))
    said = []
    result = train(
        three,
        quick(start_from=str(first.classifier), epochs=6),
        out=tmp_path / "three",
        settings=settings,
        on_event=said.append,
    )
    assert any(
        "classifier start fresh" in event.message for event in said if isinstance(event, Fallback)
    )
    card = load_classifier(result.classifier).card
    assert card.link == "softmax"
    assert card.classes == ("a", "b", "c")


def test_independent_labels_are_learnt(multi_label_folder, quick, settings, tmp_path):
    cohort = scan_annotated_folder(multi_label_folder)
    result = train(cohort, quick(epochs=15), out=tmp_path / "run", settings=settings)
    classifier = load_classifier(result.classifier)
    assert classifier.card.link == "multi-label"
    right = [
        set(classify(bag.path, classifier, device="cpu").labels) == set(bag.labels)
        for bag in cohort.bags
    ]
    assert np.mean(right) > 0.7
    assert "auc_macro" in classifier.card.evaluation["validation, optimistic"]


def test_a_split_in_the_table_is_kept_and_its_test_part_looked_at_once(
    feature_folder, quick, settings, tmp_path
):
    root = feature_folder()
    paths = sorted(root.glob("*/*.npy"))
    splits = ["train", "train", "val", "test"]
    (root / "labels.csv").write_text(
        "slide,label,split\n"
        + "".join(
            f"{p.relative_to(root)},{p.parent.name},{splits[k % 4]}\n" for k, p in enumerate(paths)
        )
    )
    result = train(scan_annotated_folder(root), quick(), out=tmp_path / "run", settings=settings)
    card = load_classifier(result.classifier).card
    assert card.training.split == SplitCounts(12, 6, 6)
    assert "held-out" in card.evaluation["headline"]


@pytest.fixture
def slide_cohort(tmp_path, slide):
    """Regions of a real slide, two classes by where they lie."""
    from tests.conftest import write_pyramid

    for k in range(8):
        folder = tmp_path / "slides" / ("left", "right")[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = slide.read_region((400 + 700 * (k % 2), 300 + 260 * (k // 2)), 0, (256, 256))
        write_pyramid(folder / f"region{k}.tiff", pixels, mpp=None)
    return scan_annotated_folder(tmp_path / "slides")


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
    assert set(epochs[0].masks) == {"high", "low", "random"}
    plain = train(slide_cohort, config, out=tmp_path / "unwatched", settings=settings)
    assert weights(tmp_path / "run") == weights(tmp_path / "unwatched"), "looking changes nothing"
    card = load_classifier(plain.classifier).card
    assert card.mpp_assumed
    monkeypatch.setattr(
        "napari_mil.training.store.embed_tiles", lambda *_, **__: pytest.fail("encoded again")
    )
    train(slide_cohort, config, out=tmp_path / "third", settings=settings)


def test_slides_that_cannot_be_tiled_are_left_out_and_said(slide_cohort, quick, settings, tmp_path):
    with pytest.raises(TrainingError, match=r"No bag of slides can be used.*no resolution"):
        train(slide_cohort, quick(), out=tmp_path / "none", settings=settings)


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
    from napari_mil.training.config import read_config

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


def test_resume_keeps_every_setting_nobody_named(cohort, quick, settings, tmp_path):
    from napari_mil.training.config import make_config

    config = quick(aggregator="dsmil", aggregator_options={}, epochs=3)
    train(cohort, config, out=tmp_path / "whole", settings=settings)
    with pytest.raises(CancelledError):
        train(cohort, config, out=tmp_path / "cut", settings=settings, **cancelling(1))
    train(cohort, make_config(), out=tmp_path / "cut", resume=True, settings=settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert train(
        cohort, make_config(), out=tmp_path / "cut", resume=True, settings=settings
    ).already_done


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


def test_a_full_disk_while_the_bundle_is_written_is_one_sentence(
    cohort, quick, settings, tmp_path, monkeypatch
):
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("napari_mil.inference.classifier.save_file", full)
    with pytest.raises(OutputError, match=r"classifier cannot be written.*No space.*resume"):
        train(cohort, quick(epochs=2), out=tmp_path / "run", settings=settings)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "cohort.json",
        "config.json",
        "history.csv",
    ]
    monkeypatch.undo()
    train(cohort, quick(epochs=2), out=tmp_path / "run", resume=True, settings=settings)


def test_features_of_another_encoder_are_not_taken_for_the_starts(
    feature_folder, quick, settings, tmp_path
):
    from napari_mil.bags import Bag, write_bag

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


@pytest.fixture
def image_folder(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for label, level in (("dim", 60), ("bright", 200)):
        for b in range(4):
            folder = tmp_path / "cells" / label / f"bag{b}"
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(
                    (random.integers(0, 40, (30, 34, 3)) + level).astype(np.uint8)
                ).save(folder / f"{i}.png")
    return tmp_path / "cells"
