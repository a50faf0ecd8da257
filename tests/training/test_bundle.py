import shutil

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from napari_mil import classify, load_classifier
from napari_mil.errors import ClassifierError, OutputError
from napari_mil.inference.facts import SplitCounts
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.run import train
from tests.adapted import write_adapted


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
    assert "95 % interval by Newcombe" in card.evaluation["headline"]
    sensitivity = card.evaluation["test split"]["sensitivity"]
    assert sensitivity["low"] <= sensitivity["mean"] <= sensitivity["high"]
    assert sensitivity["method"] == "Clopper–Pearson"
    assert isinstance(card.evaluation["test split"]["expected_calibration_error"], float)
    assert "malignant has only 3 bags." in card.notes
    assert "| sensitivity |" in card.notes
    assert "Korn & Graubard" in card.notes


def test_a_full_disk_while_the_bundle_is_written_is_one_sentence(
    cohort, quick, settings, tmp_path, monkeypatch
):
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


@pytest.fixture
def on_adapted(slide_cohort, quick, settings, tmp_path):
    """Return the bundle of a run on an adapted encoder, whose folder is gone since."""
    encoder = write_adapted(tmp_path / "secret place" / "mine")
    options = {"encoder": str(encoder), "slide_mpp": 1.0, "mask": "none", "epochs": 1}
    result = train(slide_cohort, quick(**options), out=tmp_path / "run", settings=settings)
    shutil.rmtree(encoder.parent)
    return result.classifier


def test_the_weights_of_an_adapted_encoder_travel_with_the_bundle(
    on_adapted, slide_cohort, tmp_path
):
    moved = tmp_path / "elsewhere" / "mine"
    shutil.copytree(on_adapted, moved)
    classifier = load_classifier(moved)
    encoder = classifier.create_encoder(torch.device("cpu"), 1)
    assert encoder.fingerprint == classifier.card.encoder.fingerprint
    assert classifier.card.encoder.name == "mine"
    assert classifier.card.encoder.adapted_from == "efficientnet-lite0"
    slide = slide_cohort.bags[0].path
    answers = [
        classify(slide, load_classifier(folder), device="cpu", mask=None).logits
        for folder in (on_adapted, moved)
    ]
    assert answers[0] == answers[1]


def test_a_bundle_on_an_adapted_encoder_tells_no_path(on_adapted):
    text = (on_adapted / "classifier.json").read_text() + (on_adapted / "card.md").read_text()
    assert "secret place" not in text
    assert "mine" in text
    assert "efficientnet-lite0 adapted beforehand" in text


def test_training_goes_on_from_a_bundle_on_an_adapted_encoder(
    on_adapted, slide_cohort, quick, settings, tmp_path
):
    config = quick(start_from=str(on_adapted), mask="none", slide_mpp=1.0, epochs=1)
    result = train(slide_cohort, config, out=tmp_path / "further", settings=settings)
    first, second = load_classifier(on_adapted), load_classifier(result.classifier)
    assert second.card.encoder == first.card.encoder
    tensors = first.adapted.state_dict()
    assert all(
        torch.equal(tensors[name], each) for name, each in second.adapted.state_dict().items()
    )


def test_a_bundle_on_an_encoder_that_cannot_be_adapted_here_is_refused(on_adapted):
    file = on_adapted / "classifier.json"
    file.write_text(file.read_text().replace('"efficientnet-lite0"', '"vit-tiny"'))
    with pytest.raises(ClassifierError, match="adapted vit-tiny, unknown to this version"):
        load_classifier(on_adapted)
