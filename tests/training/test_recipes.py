from napari_mil.aggregators import list_aggregators
from napari_mil.training.config import make_config
from napari_mil.training.recipes import DEFAULTS


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
