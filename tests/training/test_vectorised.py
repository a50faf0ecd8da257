import numpy as np
import pytest
import torch

from napari_mil.events import CancellationToken, ignore
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.fold_runs import fit_fold
from napari_mil.training.evaluation.splits import fold_tasks
from napari_mil.training.network import make_plan
from napari_mil.training.store import BagStore
from napari_mil.training.vectorised import can_fit_together, fit_together

CPU = torch.device("cpu")


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
    # Without dropout the two ways agree to rounding.
    options = {"hidden": 16, "dropout": 0.0}
    config = quick(
        aggregator=aggregator, aggregator_options=options, epochs=3, learning_rate=1e-3, **fields
    ).with_recipe()
    store = BagStore(cohort, config, settings, ignore, CancellationToken(), None)
    plan = make_plan(config, store, None, ignore)
    for protocol in ("honest", "published"):
        tasks = fold_tasks(cohort, config, 3, 1, protocol)
        together = fit_together(store, config, plan, None, tasks, CancellationToken())
        for task, result in zip(tasks, together, strict=True):
            alone = fit_fold(store, config, plan, None, CPU, task, CancellationToken())
            assert result.epoch == alone.epoch
            assert np.allclose(result.test, alone.test, atol=2e-4)
            assert np.allclose(result.validation, alone.validation, atol=2e-4)


def test_independent_labels_are_trained_together_too(multi_label_folder, quick, settings):
    cohort = scan_annotated_folder(multi_label_folder)
    options = {"hidden": 16, "dropout": 0.0}
    config = quick(epochs=2, aggregator_options=options).with_recipe()
    store = BagStore(cohort, config, settings, ignore, CancellationToken(), None)
    plan = make_plan(config, store, None, ignore)
    assert can_fit_together(store, config, plan, CPU)
    (task, *_) = tasks = fold_tasks(cohort, config, 3, 1, "honest")
    together = fit_together(store, config, plan, None, tasks, CancellationToken())[0]
    assert np.allclose(
        together.test,
        fit_fold(store, config, plan, None, CPU, task, CancellationToken()).test,
        atol=2e-4,
    )
