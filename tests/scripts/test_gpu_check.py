from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_mil.aggregators import list_aggregators
from napari_mil.encoders.cards import ENCODERS
from napari_mil.networks import BACKBONES
from scripts import gpu_check
from scripts.gpu_check import Comparison, deviation, main, relative_difference, table

CPU = torch.device("cpu")
FAIR = Comparison("a", "b", 1e-4, 1e-3, 1.0, 0.5)


def test_every_encoder_and_aggregator_is_checked(tmp_path):
    names = [name for name, _ in gpu_check.checks(tmp_path)]
    for name in (*ENCODERS, *BACKBONES):
        assert f"encoder {name}" in names
    for name in list_aggregators():
        assert f"aggregator {name}" in names
    assert {"deterministic mode", "resumption", "resumption of a run of the CPU"} <= set(names)
    assert len(set(names)) == len(names)


def test_each_array_counts_by_its_own_scale_but_rounding_is_no_value():
    a = [np.array([1000.0, 2.0]), np.array([10.0]), np.array([1e-9])]
    b = [np.array([1000.0, 3.0]), np.array([10.5]), np.array([2e-9])]
    assert relative_difference(a, b) == pytest.approx(0.05)
    assert relative_difference(a, a) == 0
    assert relative_difference(a, a[:2]) == float("inf")
    assert relative_difference([np.array([1.0])], [np.array([np.nan])]) == float("inf")
    columns = np.random.default_rng(0).normal(size=(500, 3))
    assert deviation([columns], [columns + 0.1 * columns.std(0)]) == pytest.approx(0.1)


def test_a_difference_beyond_the_tolerance_and_a_failure_stand_in_the_table():
    found = [
        FAIR,
        replace(FAIR, what="off", difference=1e-2),
        replace(FAIR, what="odd", difference=float("inf")),
        Comparison("bad", "", float("nan"), 0.0, error="RuntimeError: no kernel"),
    ]
    assert [each.is_within for each in found] == [True, False, False, False]
    text = table(found, CPU)
    assert "1 of 4 within tolerance" in text
    assert "| a | b | 1.0e-04 | 0.001 | yes | 1 | 0.5 |" in text
    assert "| off | b | 1.0e-02 | 0.001 | **no** |" in text
    assert "**failed**: RuntimeError: no kernel" in text


def test_the_cpu_agrees_with_itself_to_the_bit(tmp_path):
    out = tmp_path / "table.md"
    wanted = ("encoder lenet5", "aggregator dsmil", "deterministic", "resumption")
    assert main(["--device", "cpu", "--only", *wanted, "--out", str(out)]) == 0
    rows = [line for line in out.read_text().splitlines() if "| yes |" in line]
    assert len(rows) == 6
    assert all("| 0.0e+00 |" in row for row in rows)


def test_a_check_that_fails_stops_no_other_and_gives_exit_code_1(monkeypatch, capsys):
    def fail(name, device):
        raise RuntimeError("no kernel | for\nthis")

    monkeypatch.setattr(gpu_check, "check_aggregator", fail)
    assert main(["--device", "cpu", "--only", "aggregator abmil", "encoder lenet5"]) == 1
    printed = capsys.readouterr().out
    assert "no kernel / for this" in printed
    assert "| encoder lenet5 |" in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_nothing_is_compared(capsys):
    assert main([]) == 2
    assert "There is no GPU here" in capsys.readouterr().err


def test_a_device_that_computes_otherwise_is_noticed(monkeypatch):
    forward = torch.nn.Linear.forward
    calls = []

    def drifting(self, values):
        calls.append(None)
        # A fake device: the second half of the calls rounds to bfloat16.
        result = forward(self, values)
        return result if len(calls) <= n_on_cpu else result.bfloat16().float()

    n_on_cpu = float("inf")
    monkeypatch.setattr(torch.nn.Linear, "forward", drifting)
    assert gpu_check.check_aggregator("abmil", CPU).is_within
    n_on_cpu = len(calls) // 2
    calls.clear()
    assert not gpu_check.check_aggregator("abmil", CPU).is_within
