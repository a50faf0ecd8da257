import pytest

from napari_mil.aggregators import list_aggregators
from napari_mil.training.config import make_config
from napari_mil.training.recipes import DEFAULTS, NETWORK_RATE


def test_every_aggregator_has_a_recipe_with_its_source():
    assert set(DEFAULTS) == set(list_aggregators())
    for name in DEFAULTS:
        filled = make_config(aggregator=name).with_recipe()
        assert None not in (
            filled.epochs,
            filled.learning_rate,
            filled.weight_decay,
            filled.optimiser,
            filled.schedule,
            filled.bags_per_step,
            filled.patience,
        )
        assert DEFAULTS[name].source


def test_on_feature_maps_methods_train_as_published():
    maps = make_config(aggregator="hamil", encoder="resnet18").with_recipe()
    assert maps.learning_rate == 1e-4
    assert maps.aggregator_options == {}
    vectors = make_config(aggregator="hamil").with_recipe()
    assert vectors.aggregator_options["dims"] == [256, 64]


def test_beside_a_network_that_learns_too_the_default_step_is_smaller():
    beside = make_config(aggregator="instance-max", encoder="lenet5").with_recipe()
    assert beside.learning_rate == NETWORK_RATE
    assert f"{NETWORK_RATE:g}" in beside.chosen_recipe.source
    assert beside.warm_up == make_config(aggregator="instance-max").with_recipe().warm_up
    deeper = make_config(aggregator="mi-net", encoder="lenet5").with_recipe()
    assert (deeper.optimiser, deeper.learning_rate) == ("adamw", NETWORK_RATE / 2)


def test_a_transformer_beside_a_network_warms_up_longer_but_not_under_mining():
    beside = make_config(aggregator="transmil", encoder="lenet5").with_recipe()
    assert (beside.warm_up, beside.epochs, beside.earliest_stop) == (30, 100, 80)
    assert "first 30 epochs" in beside.chosen_recipe.source
    assert make_config(aggregator="transmil").with_recipe().warm_up == 0
    mined = make_config(aggregator="transmil", encoder="lenet5", strategy="r-ham").with_recipe()
    assert mined.warm_up == 0
    assert mined.as_teacher().warm_up == 30
    assert mined.aggregator_options == beside.aggregator_options


@pytest.mark.parametrize("aggregator", ["instance-max", "mi-net", "transmil"])
def test_a_published_recipe_is_the_same_beside_a_network(aggregator):
    beside, alone = (
        make_config(aggregator=aggregator, encoder=encoder, recipe="published").chosen_recipe
        for encoder in ("lenet5", None)
    )
    assert beside == alone


def test_a_step_that_is_small_enough_stays_beside_a_network():
    beside, alone = (
        make_config(aggregator="clam-sb", encoder=encoder).chosen_recipe
        for encoder in ("lenet5", None)
    )
    assert beside == alone


def test_a_teacher_trains_by_the_recipe_of_its_aggregator():
    config = make_config(aggregator="dsmil", strategy="ham", epochs=12).with_recipe()
    teacher = config.as_teacher()
    assert teacher.strategy == "plain"
    assert teacher.epochs == 12
    assert teacher.warm_up == 10
    assert config.warm_up == 0
    assert teacher.aggregator_options == config.aggregator_options
