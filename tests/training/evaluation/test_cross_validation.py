import json

import pytest

from napari_mil.errors import OptionError, TrainingError
from napari_mil.inference.card import read_card
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.cross_validation import cross_validate
from napari_mil.training.run import train
from napari_mil.training.run_folder import RunFolder


def test_a_signal_is_found_and_noise_is_not(cohort, noise_cohort, quick, settings):
    found = cross_validate(cohort, quick(epochs=6), folds=4, settings=settings, workers=1)
    assert found.metrics["auc"].mean > 0.9
    assert (
        found.metrics["accuracy"].low
        <= found.metrics["accuracy"].mean
        <= found.metrics["accuracy"].high
    )
    nothing = cross_validate(
        noise_cohort, quick(epochs=6), folds=4, repeats=2, settings=settings, workers=1
    )
    assert 0.25 < nothing.metrics["auc"].mean < 0.75


def test_choosing_on_the_test_fold_makes_something_of_noise_and_is_labelled_so(
    noise_cohort, quick, settings, tmp_path
):
    """Same network, same noise, two protocols."""
    config = quick(epochs=12, aggregator="dsmil-released", aggregator_options={})
    honest = cross_validate(noise_cohort, config, folds=5, settings=settings, workers=1)
    published = cross_validate(
        noise_cohort,
        config,
        folds=5,
        protocol="published",
        out=tmp_path,
        settings=settings,
        workers=1,
    )
    assert published.metrics["accuracy"].mean > honest.metrics["accuracy"].mean + 0.1
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["protocol"] == "published"
    assert "on the test fold" in written["selection"]
    assert all(figure["protocol"] == "published" for figure in written["metrics"].values())
    assert "optimistic" in published.headline
    assert "honest" not in json.dumps(written["metrics"])


def test_workers_are_counted_from_1(cohort, quick, settings):
    with pytest.raises(OptionError, match="at least 1 process"):
        cross_validate(cohort, quick(), folds=3, settings=settings, workers=0)


def test_the_card_of_the_run_learns_its_figures(cohort, quick, settings, tmp_path):
    result = train(cohort, quick(), out=tmp_path / "run", settings=settings)
    found = cross_validate(
        cohort, quick(), folds=3, repeats=2, out=tmp_path / "run", settings=settings, workers=1
    )
    card = read_card(result.classifier)
    assert card.evaluation["headline"] == found.headline
    assert "honest" in found.headline
    assert "95 % interval" in card.notes
    assert card.evaluation["cross-validation"]["auc"]["sd_folds"] is not None
    other = quick(learning_rate=1e-4)
    cross_validate(cohort, other, folds=3, out=tmp_path / "run", settings=settings, workers=1)
    assert read_card(result.classifier).evaluation["headline"] == found.headline, (
        "figures of other settings are not this classifier's"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"folds": 1}, OptionError, "at least 2 folds"),
        ({"repeats": 0}, OptionError, "1 repeat"),
        ({"protocol": "hopeful"}, OptionError, "honest or published"),
        ({"folds": 30}, TrainingError, "24 patients cannot be put into 30 folds"),
    ],
)
def test_what_cannot_be_drawn_is_refused(cohort, quick, settings, arguments, error, said):
    with pytest.raises(error, match=said):
        cross_validate(cohort, quick(), settings=settings, **arguments)


def test_a_class_that_one_patient_has_cannot_be_judged(feature_folder, quick, settings):
    root = feature_folder(n=6)
    paths = sorted(root.glob("*/*.npy"))
    (root / "labels.csv").write_text(
        "slide,label,patient\n"
        + "".join(
            f"{p.relative_to(root)},{p.parent.name},{'one' if 'mal' in p.name else p.stem}\n"
            for p in paths
        )
    )
    with pytest.raises(TrainingError, match="leaves a class without a bag"):
        cross_validate(scan_annotated_folder(root), quick(), folds=3, settings=settings)


def test_figures_of_other_bags_do_not_reach_a_card(cohort, noise_cohort, quick, settings, tmp_path):
    result = train(cohort, quick(), out=tmp_path / "run", settings=settings)
    before = read_card(result.classifier).evaluation
    said = []
    cross_validate(
        noise_cohort,
        quick(),
        folds=3,
        out=tmp_path / "run",
        settings=settings,
        workers=1,
        on_event=said.append,
    )
    assert read_card(result.classifier).evaluation == before
    assert any("card is left as it is" in getattr(event, "message", "") for event in said)


def test_folds_that_start_from_trained_weights_say_so(cohort, quick, settings, tmp_path):
    first = train(cohort, quick(epochs=1), out=tmp_path / "first", settings=settings)
    found = cross_validate(
        cohort,
        quick(epochs=1, start_from=str(first.classifier)),
        folds=3,
        settings=settings,
        workers=1,
    )
    assert "from weights trained before, on 24 of these 24 bags" in found.headline
    assert "24 of 24 bags were training data of first" in found.remarks[-1]


def test_folds_that_start_from_weights_of_other_bags_say_so(
    cohort, feature_folder, quick, settings, tmp_path
):
    first = train(cohort, quick(epochs=1), out=tmp_path / "first", settings=settings)
    other = scan_annotated_folder(feature_folder(name="other", seed=1))
    config = quick(epochs=1, start_from=str(first.classifier))
    found = cross_validate(other, config, folds=3, settings=settings, workers=1)
    assert found.headline.endswith("from weights trained before")
    assert "on none of these bags" in found.remarks[-1]


def test_a_second_evaluation_in_the_folder_is_held_off(cohort, quick, settings, tmp_path):
    with (
        RunFolder(tmp_path / "run").locked(),
        pytest.raises(TrainingError, match="Another run is at work"),
    ):
        cross_validate(cohort, quick(), folds=3, out=tmp_path / "run", settings=settings)
