"""Stages of masked mining: a trained teacher first, then the student."""

import csv

import pytest
import torch

from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken, EpochEnded, StageStarted, Started
from napari_mil.inference.card import read_card
from napari_mil.training.evaluation.fold_runs import fit_fold
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.evaluation.splits import fold_tasks
from napari_mil.training.network import make_plan
from napari_mil.training.recipes import STAGES
from napari_mil.training.run import train
from napari_mil.training.stages import Course
from napari_mil.training.store import BagStore
from tests.training.fittings import run, weights
from tests.training.runs import cancelling
from tests.training.runs import weights as weights_of_run

CPU = torch.device("cpu")


@pytest.fixture
def course(cohort, quick, settings):
    """Return a function that plans the stages of a configuration."""

    def make(**fields):
        config = quick(**{"strategy": "r-ham", "epochs": 3, "teacher_epochs": 2, **fields})
        config = config.with_recipe()
        store = BagStore(cohort, config, settings, lambda _: None, CancellationToken(), None)
        plan = make_plan(config, store, None, lambda _: None)
        n = len(store)
        split = Split(tuple(k for k in range(n) if k % 4), tuple(range(0, n, 4)))
        return Course(store, split, config, plan, None, CPU)

    return make


@pytest.mark.parametrize("aggregator", ["gated-abmil", "dsmil", "dsmil-released"])
def test_the_teacher_starts_as_the_trained_aggregator_and_the_student_with_its_projection(
    course, aggregator
):
    stages = course(aggregator=aggregator)
    trained = run(stages.fitting(0))
    miner = stages.fitting(1, trained).network
    base = trained.network.state_dict()
    assert all(torch.equal(base[key], value) for key, value in miner.teacher.state_dict().items())
    fresh = stages.fitting(0).network.state_dict()
    for key, value in miner.student.state_dict().items():
        expected = base if key.startswith("projection.") else fresh
        assert torch.equal(expected[key], value), key
    assert not torch.equal(base["projection.0.weight"], fresh["projection.0.weight"])


def test_without_a_projection_the_student_starts_fresh(course):
    stages = course(aggregator="dsmil", aggregator_options={})
    miner = stages.fitting(1, run(stages.fitting(0))).network
    fresh = stages.fitting(0).network.state_dict()
    assert all(torch.equal(fresh[key], value) for key, value in miner.student.state_dict().items())


@pytest.mark.parametrize("fields", [{"teacher": "fresh"}, {"strategy": "plain"}])
def test_there_is_one_stage_without_a_teacher_to_train(course, fields):
    assert len(course(**fields).names) == 1


def test_epochs_are_counted_on_and_told_as_stages(cohort, quick, settings, tmp_path):
    events = []
    config = quick(strategy="ham", epochs=3, teacher_epochs=2)
    result = train(cohort, config, out=tmp_path / "run", on_event=events.append, settings=settings)
    told = [event for event in events if isinstance(event, StageStarted)]
    assert [(event.name, event.number, event.epochs) for event in told] == [
        ("teacher", 1, 2),
        ("mining", 2, 3),
    ]
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3, 4, 5]
    assert [event.total for event in events if isinstance(event, Started)][1:] == [5, 5]
    with (tmp_path / "run" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["stage"]) for row in rows] == [
        ("1", "1"),
        ("2", "1"),
        ("3", "2"),
        ("4", "2"),
        ("5", "2"),
    ]
    assert [bool(row["mask_ratio"]) for row in rows] == [False, False, True, True, True]
    facts = read_card(result.classifier).training
    assert facts.epochs_trained == 5
    assert facts.epoch_kept == result.epoch > 2


@pytest.mark.parametrize("strategy", ["ham", "lr-ham"])
def test_a_run_cut_in_either_stage_or_between_them_comes_to_the_same_bits(
    cohort, quick, settings, tmp_path, strategy
):
    config = quick(strategy=strategy, epochs=3, teacher_epochs=2, instance_dropout=0.2)
    train(cohort, config, out=tmp_path / "whole", settings=settings)
    for epoch in (1, 2, 4):
        with pytest.raises(CancelledError):
            train(
                cohort,
                config,
                out=tmp_path / "cut",
                resume=True,
                settings=settings,
                **cancelling(epoch),
            )
    train(cohort, config, out=tmp_path / "cut", resume=True, settings=settings)
    assert weights_of_run(tmp_path / "whole") == weights_of_run(tmp_path / "cut")
    histories = [
        (tmp_path / name / "history.csv").read_text().splitlines() for name in ("whole", "cut")
    ]
    whole, cut = ([row.rsplit(",", 1)[0] for row in rows] for rows in histories)  # but the seconds
    assert whole == cut


def test_a_fold_trains_a_teacher_too(course):
    stages = course(epochs=2)
    task = fold_tasks(stages.store.cohort, stages.config, 3, 1, "published")[0]
    result = fit_fold(
        stages.store, stages.config, stages.plan, None, CPU, task, CancellationToken()
    )
    assert len(result.test) == 2  # epochs of the last stage
    assert result.epoch == 4
    alone = Course(
        stages.store, task.split, task.fold_config(stages.config), stages.plan, None, CPU
    ).fit(CancellationToken())
    assert (alone.logits(task.split.test) == result.test[-1]).all()
    assert len(STAGES) == len(stages.names)
    assert weights(alone)
