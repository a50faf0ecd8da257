import numpy as np
import pytest
import torch

from napari_mil.errors import TrainingError
from napari_mil.events import CancellationToken
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.evaluation.folds import Split
from napari_mil.training.evaluation.metrics import negative_log_likelihood
from napari_mil.training.recipes import DEFAULTS
from tests.training.fittings import run, same, weights

SMALL = {"transmil": {"hidden": 64}}


@pytest.mark.parametrize("aggregator", list(DEFAULTS))
def test_every_aggregator_learns_the_planted_signal_or_at_least_trains(
    cohort, quick, fit, aggregator
):
    fitting = fit(
        cohort,
        quick(
            aggregator=aggregator,
            aggregator_options=SMALL.get(aggregator, {}),
            epochs=3,
            learning_rate=1e-3,
        ),
    )
    before = weights(fitting)
    run(fitting)
    assert not same(before, weights(fitting))
    assert fitting.history[-1]["loss"] < fitting.history[0]["loss"] * 1.05
    assert all(np.isfinite(row["validation_loss"]) for row in fitting.history)


@pytest.mark.parametrize(
    "fields",
    [{"aggregator": name, "aggregator_options": SMALL.get(name, {})} for name in DEFAULTS]
    + [
        {"aggregator": name, "aggregator_options": SMALL.get(name, {}), "strategy": "lr-ham"}
        for name in ("gated-abmil", "dsmil", "transmil")
    ],
    ids=lambda fields: "-".join(
        [fields["aggregator"], *([fields["strategy"]] if "strategy" in fields else [])]
    ),
)
def test_mixed_precision_trains_every_method_to_about_the_same_loss(cohort, quick, fit, fields):
    """As a GPU does by default."""
    rows = [
        run(fit(cohort, quick(**fields, epochs=2, learning_rate=1e-3, precision=precision))).history
        for precision in ("float32", "mixed")
    ]
    left_in_16_bits = fields["aggregator"] != "gnn-mil"  # whose sums over all pairs overflow them
    assert (rows[0][0]["loss"] != rows[1][0]["loss"]) == left_in_16_bits
    for exact, mixed in zip(*rows, strict=True):
        assert mixed["loss"] == pytest.approx(exact["loss"], rel=0.1)


def test_the_planted_signal_is_learnt(cohort, quick, fit):
    assert run(fit(cohort, quick(epochs=8))).history[-1]["validation_auc"] == 1.0


def test_the_same_seed_gives_the_same_bits_and_another_one_others(cohort, quick, fit):
    options = {
        "aggregator_options": {"hidden": 16, "dropout": 0.3},
        "strategy": "r-ham",
        "epochs": 2,
        "instance_dropout": 0.2,
    }
    first, again, other = (
        weights(run(fit(cohort, quick(seed=seed, **options)))) for seed in (3, 3, 4)
    )
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "lr-ham", "aggregator_options": {"hidden": 16, "dropout": 0.3}},
        {"aggregator": "dtfd", "aggregator_options": {}},
        {"aggregator": "clam-sb", "aggregator_options": {}},
        {"aggregator": "hamil", "aggregator_options": {}},
        {
            "aggregator": "dsmil-released",
            "aggregator_options": {},
            "alternate_streams": True,
            "class_balance": "sampling",
        },
        {"aggregator": "transmil", "aggregator_options": {"hidden": 64}},
        {
            "optimiser": "sgd",
            "schedule": "inverse",
            "instance_dropout": 0.3,
            "bags_per_step": 3,
            "clip": 1.0,
        },
    ],
)
def test_going_on_from_a_state_comes_to_the_same_bits(cohort, quick, fit, fields):
    config = quick(epochs=4, **fields)
    whole = run(fit(cohort, config))
    half = run(fit(cohort, config), 2)
    half.watch(half.store.read(0))  # looking draws nothing that training would miss
    resumed = fit(cohort, config)
    resumed.load(half.state())
    run(resumed, 2)
    assert same(weights(whole), weights(resumed))
    assert [{**row, "seconds": 0} for row in whole.history] == [
        {**row, "seconds": 0} for row in resumed.history
    ]


def test_a_step_over_several_bags_is_the_mean_of_their_gradients(cohort, quick, fit):
    """A step moves weights by the mean gradient of its bags."""
    split = Split((0, 1, 12, 13))
    config = quick(
        optimiser="sgd",
        learning_rate=1e-3,
        weight_decay=0.0,
        bags_per_step=4,
        epochs=1,
        schedule="constant",
        select="last",
    )
    together = fit(cohort, config, split)
    before = weights(together)
    gradients = {key: torch.zeros_like(tensor) for key, tensor in before.items()}
    for b in split.training:
        together.network.zero_grad()
        together.network(together.bag(b), torch.tensor([float(b >= 12)])).loss.backward()
        for key, weight in together.network.named_parameters():
            gradients[key] += weight.grad / 4
    run(together)
    momentum = 1 + config.chosen_recipe.betas[0]  # Nesterov's first step
    for key, tensor in weights(together).items():
        assert torch.allclose(tensor, before[key] - 1e-3 * momentum * gradients[key], atol=1e-6)


def test_a_loss_that_is_no_number_names_the_bag_and_the_term(cohort, quick, fit):
    fitting = fit(cohort, quick(learning_rate=1e30, optimiser="sgd", epochs=6))
    with pytest.raises(
        TrainingError,
        match=r"The loss of \w+\.npy is no number in epoch \d+ \(bag nan\).*learning rate",
    ):
        run(fitting)


def test_training_stops_when_validation_no_longer_improves(feature_folder, quick, fit):
    noise = scan_annotated_folder(feature_folder(n=16, signal=0.0))
    fitting = fit(noise, quick(epochs=60, patience=3, earliest_stop=5, learning_rate=1e-2))
    while not fitting.finished:
        fitting.advance(CancellationToken())
    assert 5 <= fitting.epoch < 60
    assert fitting.epoch - fitting.best.epoch >= 3 or fitting.epoch == 5
    losses = [row["validation_loss"] for row in fitting.history]
    assert fitting.use_best() == int(np.argmin(losses)) + 1
    logits = fitting.logits(fitting.split.validation)
    assert negative_log_likelihood(
        fitting.store.cohort.targets[list(fitting.split.validation)], logits
    ) == pytest.approx(min(losses))


def test_nothing_is_chosen_with_few_bags(feature_folder, quick, fit):
    few = scan_annotated_folder(feature_folder(n=6))
    fitting = run(fit(few, quick(epochs=3, patience=1)))
    assert fitting.selection == "last"
    assert fitting.use_best() == 3


def test_streams_alternate_epoch_by_epoch(cohort, quick, fit):
    fitting = run(
        fit(
            cohort,
            quick(
                aggregator="dsmil",
                aggregator_options={"stream_losses": True},
                alternate_streams=True,
                epochs=3,
            ),
        )
    )
    named = [
        {name.removeprefix("loss: ") for name in row if name.startswith("loss: ")}
        for row in fitting.history
    ]
    assert named == [{"instance stream"}, {"bag stream"}, {"instance stream"}]


def test_the_instance_stream_alone_moves_nothing_of_the_bag_stream(cohort, quick, fit):
    fitting = fit(
        cohort,
        quick(
            aggregator="dsmil-released",
            aggregator_options={},
            alternate_streams=True,
            epochs=2,
            weight_decay=0.0,
        ),
    )
    before = weights(fitting)
    run(fitting, 1)
    moved = {
        key.split(".")[0]
        for key, tensor in weights(fitting).items()
        if not torch.equal(tensor, before[key])
    }
    assert moved == {"instance_classifier"}


def test_mining_reports_its_masks_and_moves_its_teacher(cohort, quick, fit):
    fitting = fit(cohort, quick(strategy="lr-ham", epochs=2, strategy_options={"momentum": 0.5}))
    teacher = {
        key: tensor for key, tensor in weights(fitting).items() if key.startswith("teacher.")
    }
    run(fitting)
    assert 0.3 < fitting.history[0]["mask_ratio"] < 1
    assert "loss: consistency" in fitting.history[0]
    assert any(not torch.equal(tensor, weights(fitting)[key]) for key, tensor in teacher.items())


def test_in_the_warm_up_every_instance_learns_the_label_of_its_bag_less_and_less(
    cohort, quick, fit
):
    fitting = fit(cohort, quick(aggregator="instance-max", epochs=4, warm_up=2, learning_rate=1e-9))
    rows = run(fitting).history
    terms = [row.get("loss: warm-up") for row in rows]
    assert terms[0] == pytest.approx(2 * terms[1], rel=0.05)
    assert terms[2:] == [None, None]
    bag = fitting.bag(0)
    network = fitting.network.eval()
    shared = network.shared_loss(network(bag).instance_logits, torch.ones(1))
    expected = torch.nn.functional.softplus(-network(bag).instance_logits).mean()
    assert shared.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [("hamil-mean", {"dims": [16], "dropout": 0.0}), ("transmil", SMALL["transmil"])],
)
def test_methods_without_instance_scores_warm_up_by_the_classifier_of_the_bag(
    cohort, quick, fit, name, options
):
    fitting = fit(cohort, quick(aggregator=name, epochs=2, warm_up=1, aggregator_options=options))
    assert [row.get("loss: warm-up") is None for row in run(fitting).history] == [False, True]
    output = fitting.network(fitting.bag(0), torch.ones(1))
    assert output.instance_logits is None
    assert output.warm_up_logits.shape == (len(fitting.bag(0)), 1)
    assert fitting.network(fitting.bag(0)).warm_up_logits is None
