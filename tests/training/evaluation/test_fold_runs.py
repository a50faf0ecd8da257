import numpy as np
import pytest
from PIL import Image

from napari_mil.errors import CancelledError
from napari_mil.events import Advanced, CancellationToken, Started
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation import fold_runs
from napari_mil.training.evaluation.cross_validation import cross_validate


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


def test_a_frozen_network_is_another_one_in_every_fold(tmp_path, quick, settings):
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
