import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_mil.errors import CancelledError, OptionError, OutputError, TrainingError
from napari_mil.events import Advanced, CancellationToken, Fallback
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.pipeline import classify
from napari_mil.inference.results import ClassifyRequest
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation import scoring
from napari_mil.training.evaluation.metrics import figures
from napari_mil.training.evaluation.predictions_table import read_predictions
from napari_mil.training.evaluation.scoring import score
from napari_mil.training.run import train
from tests.training.sample_cohorts import with_patients


@pytest.fixture
def classifier(cohort, quick, settings, tmp_path):
    """Return the folder of a classifier of benign and malignant bags."""
    return train(cohort, quick(epochs=6), out=tmp_path / "run", settings=settings).classifier


@pytest.fixture
def request_here(settings):
    return ClassifyRequest(settings=settings, device="cpu")


@pytest.fixture
def elsewhere(feature_folder):
    """Return the folder of somebody else's cohort."""
    return feature_folder(n=8, name="elsewhere", seed=7)


def table_of(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return {row["bag"]: row for row in csv.DictReader(file)}


def test_a_score_says_what_single_answers_add_up_to(classifier, elsewhere, request_here, tmp_path):
    cohort = scan_annotated_folder(elsewhere)
    found = score(cohort, classifier, out=tmp_path / "score", request=request_here)
    single = [classify(bag.path, classifier, device="cpu") for bag in cohort.bags]
    logits = np.array([one.logits for one in single], np.float64)
    expected = figures(cohort.targets, logits)
    assert {name: value.mean for name, value in found.metrics.items()} == pytest.approx(expected)
    rows = table_of(tmp_path / "score")
    for bag, one in zip(cohort.bags, single, strict=True):
        row = rows[f"{bag.path.parent.name}/{bag.path.name}"]
        assert row["label"] == one.label
        assert row["class"] == bag.label
        assert float(row["probability_malignant"]) == pytest.approx(one.probabilities[1], 1e-5)
        assert float(row["unlike"]) == pytest.approx(one.unlikeness.bag, 1e-5)
        assert row["fold"] == ""
    written = json.loads((tmp_path / "score" / "score.json").read_text())
    assert written["headline"] == found.headline
    assert "16 bags of elsewhere" in found.headline
    assert "95 % interval by" in found.headline
    assert written["metrics"]["auc"]["method"] in written["interval methods"]
    assert written["training data of the classifier"] == 0
    assert written["unlike the training data"]["bags of which it can be told"] == 16


def test_a_score_that_was_stopped_goes_on_with_the_bags_that_are_left(
    classifier, elsewhere, request_here, tmp_path, monkeypatch
):
    cohort = scan_annotated_folder(elsewhere)
    token = CancellationToken()
    done = []
    whole = score(cohort, classifier, out=tmp_path / "whole", request=request_here)

    def stop_after_5(event):
        if isinstance(event, Advanced):
            done.append(event.done)
            if event.done == 5:
                token.cancel()

    def go(**options):
        return score(cohort, classifier, out=tmp_path / "cut", request=request_here, **options)

    with pytest.raises(CancelledError):
        go(on_event=stop_after_5, cancel=token)
    assert len(list((tmp_path / "cut" / "answers").glob("*.json"))) == 5
    assert not (tmp_path / "cut" / "score.json").exists()
    classified = []
    real = scoring.classify
    monkeypatch.setattr(
        scoring, "classify", lambda *a, **k: (classified.append(1), real(*a, **k))[1]
    )
    assert go(resume=True).as_dict() == whole.as_dict()
    assert len(classified) == 11
    first = (tmp_path / "whole" / "predictions.csv").read_bytes()
    assert (tmp_path / "cut" / "predictions.csv").read_bytes() == first
    go(resume=True)
    assert len(classified) == 11
    go()
    assert len(classified) == 27, "without resume everything is classified anew"


def test_an_answer_that_was_cut_short_is_made_again(classifier, elsewhere, request_here, tmp_path):
    cohort = scan_annotated_folder(elsewhere)
    first = score(cohort, classifier, out=tmp_path / "s", request=request_here)
    victim = next((tmp_path / "s" / "answers").glob("*.json"))
    victim.write_text(victim.read_text()[:20])
    again = score(cohort, classifier, out=tmp_path / "s", request=request_here, resume=True)
    assert again.as_dict() == first.as_dict()


def test_bags_that_fail_are_named_and_left_out(classifier, elsewhere, request_here, tmp_path):
    np.save(elsewhere / "benign" / "wide.npy", np.zeros((4, 11), np.float32))
    said = []
    found = score(
        scan_annotated_folder(elsewhere),
        classifier,
        out=tmp_path / "s",
        request=request_here,
        on_event=said.append,
    )
    assert [finding.path.name for finding in found.failed] == ["wide.npy"]
    assert found.n_bags == 16
    assert any(
        event.message.startswith("wide.npy is left out: ")
        for event in said
        if isinstance(event, Fallback)
    )
    assert "benign/wide.npy" not in table_of(tmp_path / "s")


def test_bags_of_the_training_are_counted(cohort, classifier, request_here, tmp_path):
    found = score(cohort, classifier, out=tmp_path / "s", request=request_here)
    assert found.seen.seen == 24
    assert "24 of which it was trained on" in found.headline
    assert any("24 of 24 bags were training data of run" in remark for remark in found.remarks)


def test_an_unlike_cohort_is_said_to_be_one(classifier, feature_folder, request_here, tmp_path):
    root = feature_folder(n=6, name="far", seed=3)
    for path in root.glob("*/*.npy"):
        np.save(path, np.load(path) * 3)
    found = score(scan_annotated_folder(root), classifier, out=tmp_path / "s", request=request_here)
    assert found.likeness.n_unlike == found.likeness.n_known == 12
    assert any("12 of 12 bags are unlike" in remark for remark in found.remarks)
    assert found.bag_remarks


def test_classes_are_those_of_the_classifier_by_name_or_by_a_mapping(
    classifier, feature_folder, request_here, tmp_path
):
    root = feature_folder(n=5, name="other", classes=("Benign", "cancer"), seed=4)
    cohort = scan_annotated_folder(root)
    found = score(
        cohort,
        classifier,
        out=tmp_path / "s",
        mapping={"cancer": "malignant"},
        request=request_here,
    )
    assert found.classes == ("benign", "malignant")
    assert found.n_bags == 10
    assert found.metrics["auc"].mean > 0.7
    alone = score(cohort, classifier, out=tmp_path / "t", request=request_here)
    assert alone.n_bags == 5
    (remark,) = [each for each in alone.remarks if "cancer is none of the classes of run" in each]
    assert remark.endswith("5 bags are left out; map cancer to score them.")
    left_out = score(
        cohort, classifier, out=tmp_path / "u", mapping={"cancer": ""}, request=request_here
    )
    assert any("5 bags are left out, as the mapping says." in each for each in left_out.remarks)
    assert np.isnan(alone.metrics["auc"].mean)
    assert alone.headline.startswith("accuracy")
    assert not any("has only 0" in remark for remark in alone.remarks)


def test_patients_are_the_unit_of_the_intervals(classifier, elsewhere, request_here, tmp_path):
    cohort = with_patients(elsewhere, per_patient=4)
    found = score(cohort, classifier, out=tmp_path / "s", request=request_here)
    assert (found.n_bags, found.n_patients, found.unit) == (16, 4, "patient")
    back = read_predictions(tmp_path / "s" / "predictions.csv").answers()
    assert len(set(back.groups)) == 4


def test_slides_are_scored_by_their_own_encoder(slide_cohort, quick, settings, tmp_path):
    config = quick(tile_px=64, slide_mpp=0.5, mask="none", encoder="texture", epochs=2)
    trained = train(slide_cohort, config, out=tmp_path / "run", settings=settings)
    request = ClassifyRequest(mask=None, settings=settings, device="cpu")
    found = score(slide_cohort, trained.classifier, out=tmp_path / "s", request=request)
    assert found.n_bags == 8
    single = classify(slide_cohort.bags[0].path, trained.classifier, mask=None, device="cpu")
    np.testing.assert_allclose(found.answers.uncalibrated[0, 0], single.logits, atol=1e-5)
    assert found.seen.seen == 8


def test_slides_without_a_scale_are_one_line_whatever_their_number(
    slide_cohort, quick, settings, tmp_path
):
    config = quick(tile_px=64, slide_mpp=0.5, mask="none", encoder="texture", epochs=1)
    trained = train(slide_cohort, config, out=tmp_path / "run", settings=settings)
    assuming = load_classifier(trained.classifier)
    strict = replace(assuming, card=replace(assuming.card, slide_mpp=None))
    request = ClassifyRequest(mask=None, settings=settings, device="cpu")
    with pytest.raises(TrainingError, match=r"8 slides have no resolution.*the first region"):
        score(slide_cohort, strict, out=tmp_path / "s", request=request)
    some = replace(
        slide_cohort,
        bags=tuple(
            replace(bag, mpp=0.5) if k < 4 else bag for k, bag in enumerate(slide_cohort.bags)
        ),
    )
    said = []
    with pytest.raises(TrainingError, match="No bag"):
        # What a scan was told does not stand in the files.
        score(some, strict, out=tmp_path / "t", request=request, on_event=said.append)
    lines = [event.message for event in said if isinstance(event, Fallback)]
    assert sum("4 slides have no resolution" in line for line in lines) == 1
    given = score(slide_cohort, strict, out=tmp_path / "u", request=request, slide_mpp=0.5)
    assert given.n_bags == 8


def test_folders_of_images_are_scored(image_cohort, quick, settings, request_here, tmp_path):
    config = quick(encoder="texture", epochs=2)
    trained = train(image_cohort, config, out=tmp_path / "run", settings=settings)
    found = score(image_cohort, trained.classifier, out=tmp_path / "s", request=request_here)
    assert found.n_bags == len(image_cohort)


def test_a_folder_of_an_evaluation_is_not_written_over(
    classifier, elsewhere, request_here, tmp_path
):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "evaluation.json").write_text("{}")
    with pytest.raises(OutputError, match="holds an evaluation"):
        score(
            scan_annotated_folder(elsewhere), classifier, out=tmp_path / "s", request=request_here
        )


def test_what_cannot_be_scored_at_all_is_one_sentence(
    classifier, feature_folder, request_here, tmp_path
):
    strangers = scan_annotated_folder(feature_folder(n=2, name="x", classes=("a", "b")))
    with pytest.raises(OptionError, match="None of the classes"):
        score(strangers, classifier, out=tmp_path / "s", request=request_here)
    wide = scan_annotated_folder(feature_folder(n=2, name="wide", dim=9))
    with pytest.raises(TrainingError, match="No bag of wide can be classified by run; the first"):
        score(wide, classifier, out=tmp_path / "s", request=request_here)
    (tmp_path / "empty" / "benign").mkdir(parents=True)
    with pytest.raises(TrainingError, match="holds no bag"):
        score(
            scan_annotated_folder(tmp_path / "empty"),
            load_classifier(classifier),
            out=tmp_path / "s",
            request=request_here,
        )
    assert not (tmp_path / "s").exists()


def test_a_score_among_the_bags_is_refused(classifier, elsewhere, request_here):
    cohort = scan_annotated_folder(elsewhere)
    with pytest.raises(TrainingError, match="lies among the bags"):
        score(cohort, classifier, out=elsewhere / "benign" / "score", request=request_here)
    assert not (elsewhere / "benign" / "score").exists()
