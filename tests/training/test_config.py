import json

import pytest

from napari_mil.errors import OptionError
from napari_mil.training.config import TrainingConfig, make_config, read_config


def test_what_is_given_wins_over_the_recipe():
    assert make_config(aggregator="transmil", epochs=7).with_recipe().epochs == 7
    assert (
        make_config(aggregator="transmil", recipe="published").with_recipe().optimiser
        == "lookahead-radam"
    )
    mining = make_config(aggregator="abmil", strategy="lr-ham", recipe="published")
    assert mining.with_recipe().learning_rate == 2e-4
    released = make_config(aggregator="dsmil-released", recipe="published")
    assert released.chosen_recipe.betas == (0.5, 0.9)


def test_options_of_the_recipe_are_written_down_and_those_given_win():
    filled = make_config(aggregator="dsmil", aggregator_options={"hidden": 7}).with_recipe()
    assert filled.aggregator_options == {"hidden": 7, "dropout": 0.5, "stream_losses": True}
    published = make_config(aggregator="dsmil", recipe="published").with_recipe()
    assert published.aggregator_options == {}
    assert published.learning_rate == 1e-4


def test_a_start_settles_the_options_of_the_aggregator():
    config = make_config(aggregator="dsmil", start_from="somewhere")
    assert config.with_recipe().aggregator_options == {}


def test_a_run_of_a_version_without_recipes_goes_on_as_published(tmp_path):
    fields = json.loads(make_config(aggregator="dsmil", recipe="published").with_recipe().as_json())
    for name in ("recipe", "teacher", "teacher_epochs", "warm_up"):
        del fields[name]
    fields["threshold"] = "half"
    (tmp_path / "config.json").write_text(json.dumps(fields))
    config = read_config(tmp_path / "config.json")
    assert (config.recipe, config.teacher, config.threshold) == ("published", "fresh", "half")
    assert config.with_recipe().warm_up == 0


def test_every_field_says_what_it_is():
    assert all(field.description for field in TrainingConfig.model_fields.values())


def test_a_file_holds_the_whole_configuration(tmp_path):
    config = make_config(
        aggregator="dsmil",
        alternate_streams=True,
        aggregator_options={"lambda_": 0.3},
        slide_mpp=0.5,
    )
    (tmp_path / "config.json").write_text(config.as_json())
    assert read_config(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "abc"}, "learning_rate"),
        ({"tile_px": "-3"}, "tile_px"),
        ({"validation": 1.0}, "validation"),
        ({"seed": -1}, "seed"),
        ({"foo": 1}, "foo"),
        ({"aggregator": "x"}, "no aggregator named"),
        ({"encoder": "x"}, "no encoder named"),
        ({"strategy": "ham", "aggregator": "hamil"}, "cannot|needs"),
        ({"alternate_streams": True}, "two streams"),
        ({"aggregator_options": {"n_classes": 3}}, "follows from the cohort"),
        ({"threads": 10**7}, "threads"),
        (
            {"alternate_streams": True, "aggregator": "dsmil", "strategy": "ham"},
            "without a mining strategy",
        ),
    ],
)
def test_what_is_out_of_range_is_refused_in_one_sentence(fields, said):
    with pytest.raises(OptionError, match=said) as refused:
        make_config(**fields)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"epochs": "many"}', '{"nonsense": 1}'])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(OptionError):
        read_config(tmp_path / "config.json")
