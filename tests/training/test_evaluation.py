import json

import numpy as np
import pytest
import shapely
import torch

from napari_mil.errors import CancelledError, OptionError, TrainingError
from napari_mil.events import Advanced, CancellationToken, Started, ignore
from napari_mil.training import evaluation as module
from napari_mil.training import fold_runs, vectorised
from napari_mil.training.evaluation import choose_on_test, cross_validate, fold_tasks
from napari_mil.training.fold_runs import fit_fold
from napari_mil.training.network import make_plan
from napari_mil.training.run import train
from napari_mil.training.scanning import scan_annotated_folder
from napari_mil.training.store import BagStore

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    monkeypatch.setattr(module, "SAMPLES", 50)


@pytest.fixture
def noise(feature_folder):
    return scan_annotated_folder(feature_folder(n=20, signal=0.0, name="noise"))


def with_patients(root, per_patient):
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{path.parent.name}{k // per_patient}"
        for k, path in enumerate(sorted(root.glob("*/*.npy")))
    ]
    (root / "labels.csv").write_text("slide,label,patient\n" + "\n".join(rows))
    return scan_annotated_folder(root)


def test_a_signal_is_found_and_noise_is_not(cohort, noise, quick, settings):
    found = cross_validate(cohort, quick(epochs=6), folds=4, settings=settings, workers=1)
    assert found.metrics["auc"].mean > 0.9
    assert (
        found.metrics["accuracy"].low
        <= found.metrics["accuracy"].mean
        <= found.metrics["accuracy"].high
    )
    nothing = cross_validate(
        noise, quick(epochs=6), folds=4, repeats=2, settings=settings, workers=1
    )
    assert 0.25 < nothing.metrics["auc"].mean < 0.75


def test_choosing_on_the_test_fold_makes_something_of_noise_and_is_labelled_so(
    noise, quick, settings, tmp_path
):
    """The trap that made published figures: the same network, the same noise."""
    config = quick(epochs=12, aggregator="dsmil-released", aggregator_options={})
    honest = cross_validate(noise, config, folds=5, settings=settings, workers=1)
    published = cross_validate(
        noise, config, folds=5, protocol="published", out=tmp_path, settings=settings, workers=1
    )
    assert published.metrics["accuracy"].mean > honest.metrics["accuracy"].mean + 0.1
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["protocol"] == "published"
    assert "on the test fold" in written["selection"]
    assert all(figure["protocol"] == "published" for figure in written["metrics"].values())
    assert "optimistic" in published.headline
    assert "honest" not in json.dumps(written["metrics"])


def test_no_patient_stands_on_both_sides_and_choices_are_made_on_training_patients(
    feature_folder, quick
):
    cohort = with_patients(feature_folder(n=24), per_patient=3)
    tasks = fold_tasks(cohort, quick(), 4, 3, "honest")
    groups = np.array(cohort.groups)
    for task in tasks:
        parts = [
            set(groups[list(part)])
            for part in (task.split.training, task.split.validation, task.split.test)
        ]
        assert not (parts[0] & parts[2])
        assert not (parts[1] & parts[2])
        assert not (parts[0] & parts[1])
        assert sorted((*task.split.training, *task.split.validation, *task.split.test)) == list(
            range(48)
        )
        assert task.split.validation
    for repeat in range(3):
        tested = [b for task in tasks if task.repeat == repeat for b in task.split.test]
        assert sorted(tested) == list(range(48)), "every bag is tested once per repeat"
    assert len({task.seed for task in tasks}) == len(tasks)


@pytest.mark.parametrize(
    "aggregator",
    [
        "gated-abmil",
        "abmil",
        "dsmil",
        "dsmil-released",
        "instance-max",
        "instance-mean",
        "embedding-max",
        "embedding-mean",
    ],
)
@pytest.mark.parametrize(
    "fields",
    [{}, {"optimiser": "sgd", "bags_per_step": 4, "clip": 0.5, "class_balance": "weights"}],
)
def test_heads_trained_together_are_those_trained_alone(
    cohort, quick, settings, aggregator, fields
):
    options = {"hidden": 16} if aggregator in ("gated-abmil", "abmil") else {}
    config = quick(
        aggregator=aggregator, aggregator_options=options, epochs=3, learning_rate=1e-3, **fields
    ).with_recipe()
    store = BagStore(cohort, config, settings, ignore, CancellationToken(), None)
    plan = make_plan(config, store, None, ignore)
    for protocol in ("honest", "published"):
        tasks = fold_tasks(cohort, config, 3, 1, protocol)
        together = vectorised.fit_together(store, config, plan, None, tasks, CancellationToken())
        for task, result in zip(tasks, together, strict=True):
            alone = fit_fold(store, config, plan, None, CPU, task, CancellationToken())
            assert result.epoch == alone.epoch
            assert np.allclose(result.test, alone.test, atol=2e-4)
            assert np.allclose(result.validation, alone.validation, atol=2e-4)


def test_independent_labels_are_trained_together_too(multi_label_folder, quick, settings):
    cohort = scan_annotated_folder(multi_label_folder)
    config = quick(epochs=2, aggregator_options={"hidden": 16}).with_recipe()
    store = BagStore(cohort, config, settings, ignore, CancellationToken(), None)
    plan = make_plan(config, store, None, ignore)
    assert vectorised.is_worth_it(store, config, plan, CPU)
    (task, *_) = tasks = fold_tasks(cohort, config, 3, 1, "honest")
    together = vectorised.fit_together(store, config, plan, None, tasks, CancellationToken())[0]
    assert np.allclose(
        together.test,
        fit_fold(store, config, plan, None, CPU, task, CancellationToken()).test,
        atol=2e-4,
    )


@pytest.mark.slow
def test_figures_do_not_depend_on_the_number_of_processes(cohort, quick, settings):
    config = quick(strategy="ham", epochs=2)  # not vectorised
    one = cross_validate(cohort, config, folds=3, settings=settings, workers=1)
    two = cross_validate(cohort, config, folds=3, settings=settings, workers=2)
    assert one.out_of_fold == two.out_of_fold
    assert one.metrics["auc"].as_dict() == two.metrics["auc"].as_dict()


def test_finished_folds_are_not_trained_again(cohort, quick, settings, tmp_path, monkeypatch):
    config = quick(strategy="ham", epochs=2)
    token, done = CancellationToken(), []

    def listen(event):
        if isinstance(event, Advanced) and done and done[-1] == "folds" and event.done == 2:
            token.cancel()
        if isinstance(event, Started):
            done.append(event.what)

    trained = []
    fit = fold_runs.fit_fold
    monkeypatch.setattr(
        fold_runs, "fit_fold", lambda *arguments: (trained.append(1), fit(*arguments))[1]
    )
    with pytest.raises(CancelledError):
        cross_validate(
            cohort,
            config,
            folds=4,
            out=tmp_path,
            settings=settings,
            workers=1,
            on_event=listen,
            cancel=token,
        )
    assert len(trained) < 4
    assert not (tmp_path / "evaluation.json").exists()
    resumed = cross_validate(
        cohort, config, folds=4, out=tmp_path, settings=settings, workers=1, resume=True
    )
    assert len(trained) <= 5
    assert (
        resumed.out_of_fold
        == cross_validate(cohort, config, folds=4, settings=settings, workers=1).out_of_fold
    )
    assert not (tmp_path / "folds").exists()


def test_folds_of_other_labels_are_trained_again(feature_folder, quick, settings, tmp_path):
    root = feature_folder(n=6)
    config = quick(epochs=2, strategy="ham")
    token = CancellationToken()

    def listen(event):
        if (
            isinstance(event, Advanced)
            and (tmp_path / "ev" / "folds").is_dir()
            and len(list((tmp_path / "ev" / "folds").iterdir())) == 2
        ):
            token.cancel()

    with pytest.raises(CancelledError):
        cross_validate(
            scan_annotated_folder(root),
            config,
            folds=3,
            out=tmp_path / "ev",
            settings=settings,
            workers=1,
            on_event=listen,
            cancel=token,
        )
    swapped = {"benign": "malignant", "malignant": "benign"}
    (root / "labels.csv").write_text(
        "slide,label\n"
        + "".join(
            f"{path.relative_to(root)},{swapped[path.parent.name]}\n"
            for path in sorted(root.glob("*/*.npy"))
        )
    )
    other = scan_annotated_folder(root)
    resumed = cross_validate(
        other, config, folds=3, out=tmp_path / "ev", settings=settings, workers=1, resume=True
    )
    assert (
        resumed.out_of_fold
        == cross_validate(other, config, folds=3, settings=settings, workers=1).out_of_fold
    )


def test_an_evaluation_removes_nothing_that_is_not_its_own(cohort, quick, settings, tmp_path):
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds" / "notes.txt").write_text("precious")
    cross_validate(cohort, quick(epochs=1), folds=3, out=tmp_path, settings=settings, workers=1)
    assert [path.name for path in (tmp_path / "folds").iterdir()] == ["notes.txt"]


def test_workers_are_counted_from_1(cohort, quick, settings):
    with pytest.raises(OptionError, match="at least 1 process"):
        cross_validate(cohort, quick(), folds=3, settings=settings, workers=0)


def test_the_card_of_the_run_learns_its_figures(cohort, quick, settings, tmp_path):
    result = train(cohort, quick(), out=tmp_path / "run", settings=settings)
    found = cross_validate(
        cohort, quick(), folds=3, repeats=2, out=tmp_path / "run", settings=settings, workers=1
    )
    from napari_mil.inference.card import read_card

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


def test_evaluation_says_both_dispersions_calibration_and_where_each_figure_comes_from(
    feature_folder, quick, settings, tmp_path
):
    cohort = with_patients(feature_folder(n=30), per_patient=2)
    cross_validate(
        cohort, quick(select="loss"), folds=3, repeats=2, out=tmp_path, settings=settings, workers=1
    )
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert {
        "accuracy",
        "balanced_accuracy",
        "auc",
        "average_precision",
        "f1",
        "sensitivity",
        "specificity",
    } <= set(written["metrics"])
    for figure in written["metrics"].values():
        assert {"mean", "low", "high", "sd_repeats", "sd_folds", "fold_mean"} <= set(figure)
        assert figure["protocol"] == "honest"
    assert written["calibration"]["expected calibration error on test bags"] is not None
    assert len(written["out of fold"]) == 60
    assert written["patients"] == 30


def test_three_classes_have_macro_figures(feature_folder, quick, settings):
    cohort = scan_annotated_folder(feature_folder(classes=("a", "b", "c")))
    found = cross_validate(cohort, quick(epochs=6), folds=3, settings=settings, workers=1)
    assert found.metrics["auc"].mean > 0.8
    assert not found.at_validation_threshold


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


def test_published_rules_choose_as_they_say():
    targets = np.array([0, 0, 1, 1])
    epochs = np.array([[3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 5.0, 6.0], [0.0, 3.0, 2.0, 5.0]])[
        :, :, None
    ]
    assert choose_on_test(module.LAST_EPOCH, targets, epochs) == (2, 0.5)
    epoch, threshold = choose_on_test(module.BEST_AUC, targets, epochs)
    assert epoch == 1
    assert 0.73 < threshold < 0.994
    assert choose_on_test(module.BEST_ACCURACY, targets, epochs)[0] == 1


@pytest.mark.parametrize("aggregator", ["clam-sb", "dtfd", "sa-abmil", "hamil"])
def test_a_protocol_that_was_honest_or_is_not_known_is_not_made_up(
    cohort, quick, settings, aggregator
):
    with pytest.raises(OptionError, match="no published protocol"):
        cross_validate(
            cohort,
            quick(aggregator=aggregator, aggregator_options={}),
            protocol="published",
            settings=settings,
        )


def test_figures_of_other_bags_do_not_reach_a_card(cohort, noise, quick, settings, tmp_path):
    from napari_mil.inference.card import read_card

    result = train(cohort, quick(), out=tmp_path / "run", settings=settings)
    before = read_card(result.classifier).evaluation
    said = []
    cross_validate(
        noise,
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
    assert "from weights trained before" in found.headline
    assert "too good" in found.remarks[-1]


def test_a_frozen_network_is_another_one_in_every_fold(tmp_path, quick, settings):
    from PIL import Image

    random = np.random.default_rng(0)
    for label, level in (("dim", 60), ("bright", 200)):
        for b in range(4):
            (tmp_path / "cells" / label / f"bag{b}").mkdir(parents=True)
            Image.fromarray((random.integers(0, 40, (30, 30, 3)) + level).astype(np.uint8)).save(
                tmp_path / "cells" / label / f"bag{b}" / "0.png"
            )
    config = quick(encoder="lenet5", backbone="frozen", epochs=1)
    assert (
        len(
            cross_validate(
                scan_annotated_folder(tmp_path / "cells"),
                config,
                folds=3,
                settings=settings,
                workers=1,
            ).epochs
        )
        == 3
    )


def test_a_second_evaluation_in_the_folder_is_held_off(cohort, quick, settings, tmp_path):
    from napari_mil.training.run_folder import RunFolder

    with (
        RunFolder(tmp_path / "run").held(),
        pytest.raises(TrainingError, match="Another run is at work"),
    ):
        cross_validate(cohort, quick(), folds=3, out=tmp_path / "run", settings=settings)


@pytest.mark.parametrize("supervised", [True, False])
def test_overlays_are_scored_on_the_annotated_tiles_of_test_bags(
    tmp_path, quick, settings, supervised
):
    """Stripes in the left half make a tumour; whether or not regions teach, the overlay of slides never seen has to find them."""
    from napari_mil.annotations import Region, write_geojson
    from tests.conftest import write_pyramid

    for k in range(8):
        label, pixels = (
            ("normal", "tumour")[k % 2],
            np.random.default_rng(k).integers(120, 250, (256, 256, 3), np.uint8),
        )
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        if label == "tumour":
            pixels[::4, :128] = 20
            write_geojson(
                [Region(shapely.box(0, 0, 128, 256), "tumour")],
                tmp_path / "data" / label / f"s{k}.geojson",
            )
        write_pyramid(tmp_path / "data" / label / f"s{k}.tiff", pixels)
    cohort = scan_annotated_folder(tmp_path / "data")
    config = quick(
        aggregator="dsmil",
        aggregator_options={},
        tile_px=64,
        mpp=0.5,
        mask="none",
        epochs=30,
        learning_rate=5e-3,
        instance_labels=supervised,
    )
    found = cross_validate(
        cohort, config, folds=4, out=tmp_path / "ev", settings=settings, workers=1
    )
    assert found.overlay["folds with annotated tiles"] == 4
    assert found.overlay["tile_auc"] > (0.9 if supervised else 0.6)
    assert (
        json.loads((tmp_path / "ev" / "evaluation.json").read_text())["overlay"]["protocol"]
        == "honest"
    )
