"""Golden cases of published code and formulas: `pytest -k golden`.

Every case of the golden format in NAPARI_MIL_GOLDEN (default: beside the checkout) is rebuilt as a
user would rebuild it, by `load_published_state` with its hyperparameters as the hint; a case that
cannot be run fails.
"""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_mil.aggregators import create_aggregator, load_published_state
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.aggregators.mining import MaskRatios, mask_instances
from napari_mil.aggregators.mining.masks import ranked
from napari_mil.aggregators.mining.miner import class_aware_scores, consistency_loss, create_miner
from napari_mil.aggregators.mining.schedules import cosine
from napari_mil.aggregators.packing import OneBag
from napari_mil.aggregators.pooling import generalised_mean, isr, lse, noisy_and, noisy_or
from napari_mil.aggregators.sa_abmil import KERNELS
from napari_mil.aggregators.spanning_tree import distances

FOLDER = Path(
    os.environ.get("NAPARI_MIL_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden")
)
CASES = sorted(FOLDER.glob("*.json"))


OF_CONVOLUTIONS = 5e-5
"""Tolerance for embeddings and gradients of convolutions in float32.

The reference itself is up to 4.1e-5 from float64; processors differ by less.
"""


class Case:
    """Description and tensors of a case, and how closely to compare."""

    def __init__(self, path):
        self.description = json.loads(path.read_text())
        self.tensors = load_file(path.with_suffix(".safetensors"))
        self.hyper = self.description["hyperparameters"]
        self.configs = self.hyper.get("configs", [])
        self.compared = set()
        self.in_float64 = False

    def state(self):
        return {
            key.removeprefix("state/"): value
            for key, value in self.tensors.items()
            if key.startswith("state/")
        }

    def rebuild(self):
        return load_published_state(
            self.state(), {"aggregator": self.description["aggregator"], **self.hyper}
        )

    def outputs(self):
        return {key.removeprefix("output/") for key in self.tensors if key.startswith("output/")}

    def agrees(self, name, actual, exactly=False):
        """Compare with an output, where the case has it, whatever its orientation."""
        reference = self.tensors.get(f"output/{name}")
        if reference is None or actual is None:
            return
        self.compared.add(name)
        actual = actual.detach()
        if (
            actual.ndim == 2
            and actual.shape != reference.shape
            and actual.T.shape == reference.shape
        ):
            actual = actual.T
        if exactly or not reference.is_floating_point():
            assert torch.equal(actual.reshape(reference.shape).to(reference.dtype), reference), name
        else:
            tolerance = self.description[
                "tolerance_abs_float64" if self.in_float64 else "tolerance_abs"
            ]
            through_convolutions = name == "embeddings" or (
                name == "grad_input" and reference.ndim == 4
            )
            if through_convolutions and not self.in_float64:
                tolerance = OF_CONVOLUTIONS
            difference = (
                (actual.reshape(reference.shape).double() - reference.double()).abs().max()
                if reference.numel()
                else 0
            )
            assert difference <= tolerance, (
                f"{name}: {float(difference):.2g} apart, allowed {tolerance:g}"
            )


@pytest.fixture(autouse=True)
def one_thread():
    """Run on one thread without oneDNN, as the cases were made.

    Convolutions add up in another order on more threads, and oneDNN's on each processor.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch._C._set_mkldnn_enabled(False)
    yield
    torch._C._set_mkldnn_enabled(True)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path):
    case = Case(path)
    CHECKS.get(case.description["aggregator"], check_bag)(case)
    assert case.compared, "nothing of this case was compared"
    # The checks of masks account for their sets and relations themselves.
    if case.description["aggregator"] != "mhim_mask":
        assert case.outputs() <= case.compared | {"label"}, (
            f"not compared: {sorted(case.outputs() - case.compared)}"
        )


def check_bag(case):
    """One bag through one aggregator."""
    compare_bag(case, case.rebuild(), case.tensors["input"])
    if case.description.get("tolerance_abs_float64"):
        case.in_float64 = True
        compare_bag(case, case.rebuild().double(), case.tensors["input"].double())
        case.in_float64 = False


def compare_bag(case, aggregator, bag):
    bag = bag.clone().requires_grad_()
    output = aggregator(bag)
    streams = {name: logits[None] for name, logits in output.streams.items()}
    case.agrees("logits", output.logits)
    case.agrees("probability", output.probabilities())
    case.agrees("attention", output.attention)
    case.agrees("attention_raw", output.scores)
    case.agrees("instance_logits", output.instance_logits)
    case.agrees(
        "instance_probability",
        None if output.instance_logits is None else output.instance_logits.sigmoid(),
    )
    case.agrees("bag_embedding", output.embedding)
    case.agrees("critical_index", output.critical)
    case.agrees("max_logits", streams.get("instance stream"))
    case.agrees("bag_logits", streams.get("bag stream"))
    for level in (1, 2, 3):
        case.agrees(
            f"probability_level{level}",
            streams[f"level {level}"].sigmoid() if f"level {level}" in streams else None,
        )
    case.agrees("similarity_score", output.similarity)
    if "output/distance_matrix" in case.tensors:
        points = (
            (bag.mean((2, 3)) if case.hyper["distance_features"] == "gap" else bag)
            .detach()
            .flatten(1)
            .numpy()
        )
        case.agrees("distance_matrix", torch.from_numpy(distances(points[:, None], points[None])))
    if output.tree is not None:
        case.agrees("merge_queue", torch.from_numpy(output.tree.triplets))
        case.agrees("merge_distance", torch.from_numpy(output.tree.heights))
    case.agrees(
        "y_hat",
        (output.probabilities() >= 0.5).float()
        if len(output.logits) == 1
        else output.logits.argmax(0, keepdim=True),
    )
    if isinstance(aggregator, EndToEnd):
        case.agrees("embeddings", aggregator.embed(bag))
    for label in (0, 1):  # the published loss keeps the probability away from 0 and 1
        p = output.probabilities().clamp(1e-5, 1 - 1e-5)
        case.agrees(f"loss_label{label}", -(label * p.log() + (1 - label) * (1 - p).log()))
    if "output/label" in case.tensors and "output/loss" in case.tensors:
        case.agrees("loss", aggregator(bag, case.tensors["output/label"][0]).loss)
    if case.hyper.get("instance_eval"):
        losses = aggregator(bag, torch.tensor(case.hyper["label"])).losses
        case.agrees("instance_loss", losses["instances"] / (1 - aggregator.bag_weight))
        chosen = [
            aggregator.select_evidence(output.attention, label, label == case.hyper["label"])
            for label in range(case.hyper["n_classes"])
        ]
        case.agrees("instance_labels", torch.cat([targets for _, targets in chosen]))
        judged = [
            one(aggregator.projection(bag[rows])).argmax(1)
            for one, (rows, _) in zip(aggregator.instance_classifiers, chosen, strict=True)
        ]
        case.agrees("instance_predictions", torch.cat(judged))
    if "output/grad_input" in case.tensors:
        case.agrees("grad_input", torch.autograd.grad(output.logits.sum(), bag)[0])


def check_self_attention(case):
    check_bag(case)
    aggregator = case.rebuild()
    bag = case.tensors["input"]
    attention = aggregator.self_attention
    case.agrees("embeddings", attention(bag))
    case.agrees(
        "self_attention",
        KERNELS[attention.kernel](
            attention.query(bag), attention.key(bag), attention.gamma_att
        ).softmax(1),
    )


def check_ramil(case):
    aggregator = case.rebuild()
    aggregator.merges = lambda bag: aggregator.chain(case.tensors["input/order"])
    compare_bag(case, aggregator, case.tensors["input"])


def check_dtfd(case):
    if "input/mid_features" in case.tensors:
        check_distillation(case)
        return
    aggregator = case.rebuild()
    bag = case.tensors["input"]
    output = aggregator(bag)
    case.agrees("logits", output.logits)
    case.agrees("probability", output.probabilities())
    case.agrees("attention_raw", output.scores)
    owner = aggregator.deal(bag, 0)
    tier1 = aggregator.attend_within_groups(bag, owner, case.hyper["num_groups"])
    case.agrees("pseudo_bag_logits", aggregator.classifier1(tier1.embedding[0]))
    case.agrees(
        "distilled_features",
        aggregator.distil(bag, owner, tier1.attention.sum(1, keepdim=True), tier1),
    )


def check_distillation(case):
    """From raw attention and features alone: no network to rebuild."""
    features = case.tensors["input/mid_features"]
    raw = case.tensors["input/attention_raw"]
    aggregator = create_aggregator(
        "dtfd",
        features.shape[1],
        2,
        hidden=None,
        groups=case.hyper["num_groups"],
        distillation=case.hyper["distill"].lower(),
        shuffle=False,
    ).eval()
    owner = aggregator.deal(features, 0)
    tier1 = aggregator.attend_within_groups(features, owner, case.hyper["num_groups"])
    distilled = aggregator.distil(features, owner, raw.T, tier1)
    case.agrees("distilled_features", distilled)
    case.agrees("selected_index", torch.cdist(distilled, features).argmin(1))


def check_gnn(case):
    check_bag(case)
    aggregator = case.rebuild()
    bag = case.tensors["input"]
    threshold = aggregator.neighbour_distance(bag)
    case.agrees("adjacency", torch.cat([near for _, near in aggregator.edges(bag, threshold)]))
    h = aggregator.embed(bag, threshold)
    s = aggregator.assign(bag, h, threshold)
    case.agrees("embeddings", h)
    case.agrees("assignment", s)
    case.agrees("coarse_adjacency", aggregator.coarse_adjacency(bag, s, threshold))
    case.agrees("coarse_features", s.T @ h)


def check_nan(case):
    aggregator = case.rebuild()
    bag = case.tensors["input"]
    aggregator.transfer.register_forward_hook(
        lambda module, given, made: inside.extend([given[0], made.tanh()])
    )
    inside = []
    aggregator(bag)
    case.agrees("first_embedding", inside[0])
    case.agrees("second_query", inside[1])
    case.agrees("attention_first", (bag @ aggregator.q0[:, None]).softmax(0))
    inside = []
    check_bag(case)


def check_transmil(case):
    """Layer by layer; of the second only the class token is ever computed."""
    aggregator = case.rebuild()
    inside = {}
    for name in ("layer1", "pos_layer", "layer2"):
        getattr(aggregator, name).register_forward_hook(
            lambda module, given, made, name=name: inside.__setitem__(name, made)
        )
    aggregator(case.tensors["input"])
    case.agrees("after_layer1", inside["layer1"][0])
    case.agrees("after_ppeg", torch.cat([inside["layer1"][0][:1], inside["pos_layer"]]))
    case.tensors["output/after_layer2"] = case.tensors["output/after_layer2"][:, :1]
    case.agrees("after_layer2", inside["layer2"][0])
    check_bag(case)


def check_deepmiml(case):
    check_bag(case)
    scores = case.rebuild().subconcept(case.tensors["input"])
    case.agrees("subconcept_scores", scores)


def check_spoc(case):
    """There are no weights in the case but the prior."""
    maps = case.tensors["input"]
    plain, normalised = (
        create_aggregator(
            "spoc",
            maps.shape[1],
            2,
            spatial_dims=2,
            centring=case.hyper["centering"],
            normalise=normalise,
        ).eval()
        for normalise in (False, True)
    )
    case.agrees("prior", plain.prior(*maps.shape[2:]))
    case.agrees("bag_embedding", plain(maps).embedding)
    case.agrees("bag_embedding_l2", normalised(maps).embedding)
    case.agrees("instance_embeddings", torch.stack([plain(one[None]).embedding for one in maps]))


def check_pooling(case):
    x = case.tensors["input"].double()
    p = case.tensors["input/instance_probability"].double()
    hyper = case.hyper
    bag = OneBag()
    for name, actual in {
        "max": bag.max(x),
        "mean": bag.mean(x),
        "sum": bag.sum(x),
        "lse_mean": lse(x, bag, hyper["lse_r"]),
        "prob_max": bag.max(p),
        "prob_mean": bag.mean(p),
        "prob_noisy_or": noisy_or(p, bag),
        "prob_isr": isr(p, bag),
        "prob_noisy_and": noisy_and(p, bag, hyper["noisy_and_b"], hyper["noisy_and_a"]),
        f"prob_gm_r{hyper['gm_r']:g}": generalised_mean(p, bag, hyper["gm_r"]),
    }.items():
        case.agrees(name, actual)
    assert case.outputs() <= case.compared


def check_miner(case):
    """Teacher, mask, student and consistency loss with the case's networks."""
    miner = case.rebuild()
    bag = case.tensors["input"].clone().requires_grad_()
    output = miner(bag)
    case.agrees("logits", output.logits)
    case.agrees("test_bag_logits", output.streams.get("bag stream"))
    case.agrees("test_max_logits", output.streams.get("instance stream"))
    miner.train()
    miner.student.eval()  # the case was made without dropout
    scores, teacher = miner.rank(bag)
    case.agrees("teacher_attention", scores)
    case.agrees("teacher_feature", teacher.embedding)
    masked = miner(bag, torch.tensor(0))
    hidden = torch.stack(list(masked.masks.values())).any(0)
    case.agrees("masked", hidden.nonzero()[:, 0])
    case.agrees("kept_count", (~hidden).sum())
    case.agrees("student_logits_masked", masked.logits)
    case.agrees("student_bag_logits_masked", masked.streams.get("bag stream"))
    case.agrees("student_max_logits_masked", masked.streams.get("instance stream"))
    case.agrees("consistency_loss", masked.losses["consistency"] / miner.consistency)
    if "output/grad_input_masked" in case.tensors:
        case.agrees("grad_input_masked", torch.autograd.grad(masked.logits.sum(), bag)[0])
    assert case.outputs() <= case.compared


def check_loss_and_ema(case):
    student_feature = case.tensors["input/student_feature"].clone().requires_grad_()
    loss = consistency_loss(
        student_feature, case.tensors["input/teacher_feature"], case.hyper["tau_teacher"]
    )
    case.agrees("consistency_loss", loss)
    case.agrees("grad_student_feature", torch.autograd.grad(loss, student_feature)[0])
    weight = case.tensors["input/student.weight"]
    miner = create_miner(
        "ham",
        create_aggregator("abmil", weight.shape[1], len(weight), hidden=None),
        momentum=case.hyper["ema_momentum"],
    )
    for part, module in (
        ("student", miner.student.classifier),
        ("teacher", miner.teacher.classifier),
    ):
        module.load_state_dict(
            {kind: case.tensors[f"input/{part}.{kind}"] for kind in ("weight", "bias")}
        )
    miner.update_teacher()
    for kind in ("weight", "bias"):
        case.agrees(f"teacher.{kind}", getattr(miner.teacher.classifier, kind))
    assert case.outputs() <= case.compared


def check_schedules(case):
    for config in case.configs:
        steps = config["epochs"] * config["iterations_per_epoch"]
        actual = torch.tensor(
            [cosine(config["base"], config["final"], t, steps) for t in range(steps)],
            dtype=torch.float64,
        )
        case.agrees(f"schedule_{config['index']}", actual)


def check_class_aware_scores(case):
    actual = class_aware_scores(
        case.tensors["input/features"],
        case.tensors["input/attention"].T,
        case.tensors["state/predictor.weight"],
        False,
    )
    case.agrees("score", actual)


def check_masks(case):
    """Exact sets where nothing is drawn, relations where something is."""
    for config in case.configs:
        if "heads" in config:
            check_vote(case, config)
        elif "key" in config:
            check_exact_mask(case, config)
        else:
            check_random_mask(case, config)


def check_exact_mask(case, config):
    n = config["N"]
    scores = case.tensors[f"input/attention_n{config['N']}"].T
    ratios = MaskRatios(
        high=config.get("h", 0),
        low=config.get("l", 0),
        random=config.get("r", 0),
        drawn=config.get("hr", 1),
    )
    masks = mask_instances(scores, ratios)
    masked = torch.stack([*masks.values(), torch.zeros(n, dtype=torch.bool)]).any(0)
    case.compared.add(config["key"])
    # Where the published code fails or keeps nothing, a guard chosen here holds.
    if "published_code" in config or config["kept"] == 0 or n == 1:
        assert (~masked).sum() >= 1, config["key"]
        assert (n == 1) <= (not masked.any())
    else:
        case.agrees(f"masked/{config['key']}", masked.nonzero()[:, 0], exactly=True)
        case.agrees(f"kept/{config['key']}", (~masked).nonzero()[:, 0], exactly=True)


def check_random_mask(case, config):
    n = config["N"]
    k = config["index"]
    scores = case.tensors[f"input/attention_{k}"].T
    low, pool = (case.tensors[f"output/{part}_{k}"] for part in ("low_set", "high_pool"))
    for seed in range(50):
        masks = mask_instances(
            scores,
            MaskRatios(high=config["h"], low=config["l"], random=config["r"], drawn=config["hr"]),
            generator=torch.Generator().manual_seed(seed),
        )
        masked = torch.stack(list(masks.values())).any(0)
        assert (
            config["masked_min_possible"]
            <= masked.sum()
            <= min(config["masked_max_possible"], n - 1)
        )
        assert masks["high"].sum() == config["high_count"]
        assert masks["high"][pool].sum() == config["high_count"]
        assert masks.get("random", torch.zeros(n)).sum() == config["random_count"]
        assert masked[low].all()
        assert masks.get("low", torch.zeros(n)).sum() == config["low_count"]
    case.compared.add(k)


def check_vote(case, config):
    k = config["index"]
    n = config["N"]
    scores = case.tensors[f"input/attention_{k}"][0].T
    rows = ranked(scores, config["ratio"], largest=config["largest"])
    must, tied = (
        set(case.tensors[f"output/{part}_{k}"].tolist()) for part in ("must_mask", "tie_candidates")
    )
    assert len(rows) == config["k"] == math.ceil(n * config["ratio"])
    assert must <= set(rows.tolist()) <= must | tied
    case.compared.add(k)


def check_mining(case):
    """One part of mining by itself, or all of it with the case's networks."""
    for tensor, check in {
        "output/schedule_0": check_schedules,
        "input/student_feature": check_loss_and_ema,
        "output/score": check_class_aware_scores,
    }.items():
        if tensor in case.tensors:
            return check(case)
    return check_miner(case)


CHECKS = {
    "sa-abmil": check_self_attention,
    "ramil": check_ramil,
    "dtfd": check_dtfd,
    "gnn-mil": check_gnn,
    "nan": check_nan,
    "transmil": check_transmil,
    "deepmiml": check_deepmiml,
    "spoc": check_spoc,
    "pooling": check_pooling,
    "mhim": check_mining,
    "mhim_mask": check_masks,
}


def test_golden_has_cases():
    if "NAPARI_MIL_GOLDEN" not in os.environ and not CASES:
        pytest.skip(f"there are no golden cases in {FOLDER}")
    assert CASES, f"there are no cases in {FOLDER}"
