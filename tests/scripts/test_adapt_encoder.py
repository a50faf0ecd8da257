from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.encoders import create_encoder
from napari_mil.encoders.adapted import write_encoder
from napari_mil.encoders.efficientnet_lite import released_trunk
from scripts import adapt_encoder
from scripts.adapt_encoder import (
    BEGIN,
    END,
    SAMPLE_CASE,
    Comparison,
    Tasks,
    adapt,
    card_of,
    figures_of,
    helps,
    report,
)
from scripts.encoder_features import biopsies, biopsy_rows


@pytest.fixture
def tasks():
    """A few tiles of noise, dark or bright."""
    random = np.random.default_rng(0)

    def noise(n, px):
        tiles = random.integers(0, 120, (n, px, px, 3), np.uint8)
        tiles[1::2] += 120
        return tiles

    return Tasks(
        torch.tensor(noise(16, 96)),
        torch.tensor([0.0, 1.0] * 8),
        torch.tensor(noise(8, 112)),
        torch.tensor([0, 1] * 4),
        frozenset({"a"}),
        noise(6, 96),
        np.array([0, 1] * 3),
    )


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(adapt_encoder, "LYMPH_NODES_AT_ONCE", 8)
    monkeypatch.setattr(adapt_encoder, "BIOPSIES_AT_ONCE", 4)


def test_the_blocks_before_the_first_one_stay(tasks):
    before = released_trunk().state_dict()
    after = adapt(tasks, 1, 5).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(int(name.split(".")[1]) >= 5 for name in changed)
    assert not [name for name in changed if "running" in name]


def test_equal_runs_give_equal_weights(tasks):
    first, second = (adapt(tasks, 1, 5).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


FOUND = Comparison("set", 100, 0.90, 0.92, {"mean": 0.02, "low": 0.01, "high": 0.03}, 50)
WORSE = replace(FOUND, gain={"mean": -0.02, "low": -0.03, "high": -0.01})
SAME = replace(FOUND, gain={"mean": 0.0, "low": -0.01, "high": 0.01})


@pytest.mark.parametrize(
    ("found", "kept"), [([FOUND, SAME], True), ([SAME], False), ([FOUND, WORSE], False)]
)
def test_weights_are_kept_that_help_somewhere_and_harm_nowhere(found, kept):
    assert helps(found) is kept


def test_the_table_takes_the_place_of_the_earlier_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report(page, [FOUND], 12, 9.6)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| set | 100 in 50 groups | 0.900 | 0.920 | +0.020 (+0.010 to +0.030) |" in text


def test_the_encoder_is_one_that_the_product_takes(tasks, tmp_path):
    adapted = adapt(tasks, 1, 5)
    card = card_of("mine", adapted, tasks, 1, {"minutes": 0.1})
    write_encoder(replace(card, probes=figures_of([FOUND])), adapted, tmp_path / "mine")
    encoder = create_encoder(str(tmp_path / "mine"), device="cpu")
    assert encoder.card.base == "efficientnet-lite0"
    assert encoder.card.source.endswith(": better")


def test_no_case_is_both_learned_from_and_tested(shared):
    tasks = adapt_encoder.read_tasks(shared / "data")
    rows = biopsy_rows(shared / "data" / "ebhi")
    everything = {row["case"] for row in rows}
    assert tasks.cases < everything
    assert SAMPLE_CASE not in tasks.cases
    assert len(tasks.lymph_nodes) == 3800
    tested = biopsies(shared / "data" / "ebhi", {"mean": lambda tiles: tiles.mean((1, 2))})
    unseen = set(tested.groups) - tasks.cases
    assert len(unseen) > 80
