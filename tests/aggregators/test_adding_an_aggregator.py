"""The page that shows how to add an aggregator, followed to the letter."""

import re
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-an-aggregator.md"


@pytest.fixture
def followed(tmp_path, monkeypatch):
    """The page's class in a file of its own, and its line in the registry; what it tries passes."""
    from napari_mil.aggregators.cards import AGGREGATORS

    module, line, trial = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "noisy_and.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "noisy_and", raising=False)
    before = dict(AGGREGATORS)
    exec(line, {})
    try:
        exec(trial, {})
        yield "noisy-and"
    finally:
        AGGREGATORS.clear()
        AGGREGATORS.update(before)


def test_what_the_page_adds_honours_the_contract(followed):
    import torch

    from tests.aggregators import test_contract as contract

    contract.test_the_order_of_instances_does_not_matter.hypothesis.inner_test(followed, 20, 1)
    contract.test_equal_instances_are_treated_equally(followed)
    contract.test_float64_agrees_with_float32(followed)
    contract.test_weights_survive_a_state_dict_and_safetensors(followed)
    contract.test_every_weight_learns_from_a_bag(followed)
    contract.test_many_bags_at_once_are_answered_as_one_by_one(followed)
    for n_classes, multi_label, target in (
        (1, False, torch.tensor([1.0])),
        (3, False, torch.tensor(2)),
        (3, True, torch.tensor([1.0, 0, 1])),
    ):
        contract.test_the_losses_sum_to_the_training_loss_and_train(
            followed, n_classes, multi_label, target
        )


def test_its_card_is_what_is_listed(followed):
    from napari_mil import list_aggregators

    assert list_aggregators()[followed].title.startswith("A bag is positive once a learned share")


def test_the_page_leads_to_files_that_are_there():
    root = PAGE.parents[1]
    named = re.findall(r"`((?:napari_mil|tests)/[\w/.]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 4
    assert [
        name for name in named if not (root / name).exists() and not name.endswith("noisy_and.py")
    ] == []
