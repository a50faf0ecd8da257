"""Every case of the golden format in NAPARI_MIL_GOLDEN (default: beside the checkout): `pytest -k golden`."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_mil.aggregators import create_aggregator, list_aggregators

FOLDER = Path(os.environ.get("NAPARI_MIL_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
CASES = sorted(FOLDER.glob("*.json"))

NAMES = {
    "feature.0": "projection.0",
    "attention.0": "V",
    "attention.2": "w",
    "attention_V.0": "V",
    "attention_U.0": "U",
    "attention_w": "w",
    "attention_a.0": "V",
    "attention_b.0": "U",
    "attention_c": "w",
    "classifier.0": "classifier",
}


def build(case, tensors):
    """Return (aggregator with the stored weights, its input); image cases start at the stored embeddings of the instances."""
    hyper = case["hyperparameters"]
    state = {key.removeprefix("state/"): value for key, value in tensors.items() if key.startswith("state/")}
    if case["aggregator"] == "dsmil":
        aggregator = create_aggregator("dsmil", hyper["L"], hyper["num_classes"], lambda_=hyper["lambda"])
        aggregator.load_state_dict({f"{key}.weight": value for key, value in state.items()})
        return aggregator.eval(), tensors["input"]
    from_images = "extractor" in hyper
    aggregator = create_aggregator(
        case["aggregator"],
        hyper["M"] if from_images else hyper["in_dim"],
        1 if from_images else hyper["n_classes"],
        hidden=None if from_images else hyper["hidden"],
        attention_dim=hyper["L"] if from_images else hyper["attention_dim"],
        activation=hyper.get("act", "tanh"),
        attention_bias=hyper.get("bias", True),
    )
    renamed = {}
    for key, value in state.items():
        stem, kind = key.rsplit(".", 1)
        if stem in NAMES:
            renamed[f"{NAMES[stem]}.{kind}"] = value
    aggregator.load_state_dict(renamed)
    return aggregator.eval(), tensors["output/embeddings"] if from_images else tensors["input"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path):
    case, tensors = json.loads(path.read_text()), load_file(path.with_suffix(".safetensors"))
    if case["aggregator"] not in list_aggregators():
        pytest.skip(f"the aggregator {case['aggregator']} is not part of this version")
    aggregator, bag = build(case, tensors)
    bag = bag.clone().requires_grad_()
    output = aggregator(bag)
    tolerance = case["tolerance_abs"]

    def agrees(ours, name):
        reference = tensors[f"output/{name}"].to(ours.dtype)
        assert torch.allclose(ours.reshape(reference.shape), reference, rtol=0, atol=tolerance), name

    agrees(output.logits, "logits")
    agrees(output.attention.T.contiguous(), "attention")
    agrees(output.embedding, "bag_embedding")
    if "output/attention_raw" in tensors:
        agrees(output.scores.T.contiguous(), "attention_raw")
    if "output/probability" in tensors:
        agrees(output.probabilities(), "probability")
    if "output/instance_logits" in tensors:
        agrees(output.instance_logits, "instance_logits")
    if "output/critical_index" in tensors:
        assert torch.equal(output.critical, tensors["output/critical_index"])
    if "output/grad_input" in tensors and "extractor" not in case["hyperparameters"]:
        (gradient,) = torch.autograd.grad(output.logits.sum(), bag)
        agrees(gradient, "grad_input")


def test_golden_has_cases_for_the_aggregators_of_this_version():
    if not CASES:
        pytest.skip("there are no golden cases beside this checkout")
    covered = {json.loads(path.read_text())["aggregator"] for path in CASES}
    assert set(list_aggregators()) <= covered
