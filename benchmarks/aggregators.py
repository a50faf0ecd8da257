"""Benchmarks of aggregators beside torchmil with the same weights.

Also of bags in 16 bits, packed bags and trees. Each measurement runs in a process of its own
(`python -m benchmarks.aggregators KIND ...`), so that its peak memory is its own; the two sides
alternate, and the median of their CPU seconds is reported.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_mil.aggregators import create_aggregator, single_linkage
from napari_mil.aggregators.aggregator import Aggregator

SIZES = (1_000, 10_000, 100_000)
"""Instances of a bag."""
DIMS = (512, 1024)
"""Numbers of an instance."""
PACKED_AGGREGATORS = (
    "abmil",
    "gated-abmil",
    "dsmil",
    "dsmil-released",
    "mi-net-instance",
    "mi-net",
    "mi-net-ds",
    "mi-net-rc",
    "embedding-mean",
)


def create_pair(name: str, dim: int) -> tuple[Aggregator, nn.Module]:
    """Create an aggregator and torchmil's model with the same weights.

    Both have one output unit, and no projection where torchmil has none.
    """
    torch.manual_seed(0)
    create = {
        "abmil": create_abmil_pair,
        "clam": create_clam_pair,
        "dsmil": create_dsmil_pair,
        "dtfd": create_dtfd_pair,
        "transmil": create_transmil_pair,
    }
    return create[name](dim)


def create_abmil_pair(dim: int) -> tuple[Any, Any]:
    from torchmil import models

    aggregator: Any = create_aggregator("gated-abmil", dim, 1, hidden=None)
    reference = models.ABMIL((dim,), gated=True)
    copy_attention(aggregator.attention, reference.pool)
    copy_linear(aggregator.classifier, reference.classifier)
    return aggregator, reference


def create_clam_pair(dim: int) -> tuple[Any, Any]:
    from torchmil import models

    aggregator: Any = create_aggregator("clam-sb", dim, 1, hidden=None, attention_dim=128)
    reference = models.CLAM_SB((dim,), gated=True)
    copy_attention(aggregator.attention, reference.pool)
    copy_linear(aggregator.classifier, reference.classifier)
    return aggregator, reference


def create_dsmil_pair(dim: int) -> tuple[Any, Any]:
    from torchmil import models

    aggregator: Any = create_aggregator("dsmil-released", dim, 1, nonlinear_q=False)
    reference = models.DSMIL((dim,))
    copy_linear(aggregator.q, reference.q_nn)
    copy_linear(aggregator.instance_classifier, reference.inst_classifier)
    with torch.no_grad():
        reference.bag_classifier.weight.copy_(aggregator.bag_classifier.weight[0])
        reference.bag_classifier.bias.copy_(aggregator.bag_classifier.bias)
    return aggregator, reference


def create_dtfd_pair(dim: int) -> tuple[Any, Any]:
    from torchmil import models

    aggregator: Any = create_aggregator("dtfd", dim, 1, hidden=None, groups=8, shuffle=False)
    reference = models.DTFDMIL((dim,), n_groups=8, distill_mode="afs")
    for attention, reference_attention in (
        (aggregator.attention1, reference.attention_pool),
        (aggregator.attention2, reference.u_attention_pool),
    ):
        # torchmil's DTFD has plain attention where the paper's is gated.
        attention.U = None
        copy_attention(attention, reference_attention)
    copy_linear(aggregator.classifier1, reference.classifier)
    copy_linear(aggregator.classifier2, reference.u_classifier)
    return aggregator, reference


def create_transmil_pair(dim: int) -> tuple[Any, Any]:
    """Create TransMIL with the same weights on both sides.

    torchmil has no convolution of the values and no output projection; the aggregator computes them
    all the same, as zeros and the identity.
    """
    from torchmil import models

    aggregator: Any = create_aggregator("transmil", dim, 1, heads=8)
    reference = models.TransMIL((dim,), n_heads=8)
    with torch.no_grad():
        reference.cls_token.copy_(aggregator.cls_token)
        projection = aggregator.projection[0]
        if dim == 512:
            # torchmil then has no projection. The aggregator's is the identity, and its ReLU
            # changes nothing, as no number of the bag is negative.
            nn.init.eye_(projection.weight)
            nn.init.zeros_(projection.bias)
        else:
            nn.init.zeros_(reference.fc1.bias)
            reference.fc1.weight.copy_(projection.weight.abs_())
            nn.init.zeros_(projection.bias)
        layers = (aggregator.layer1, aggregator.layer2)
        for layer, reference_layer in zip(layers, reference.layers, strict=True):
            reference_layer.att_module.qkv_nn.weight.copy_(layer.attn.to_qkv.weight)
            nn.init.zeros_(layer.attn.res_conv.weight)
            nn.init.eye_(layer.attn.to_out[0].weight)
            nn.init.zeros_(layer.attn.to_out[0].bias)
            reference_layer.norm1.load_state_dict(layer.norm.state_dict())
        reference.pos_layer.load_state_dict(aggregator.pos_layer.state_dict())
        reference.norm.load_state_dict(aggregator.norm.state_dict())
        copy_linear(aggregator.classifier, reference.classifier)
    return aggregator, reference


def copy_linear(source: nn.Linear, target: Any) -> None:
    """Copy a linear layer to torchmil, which wraps some of its layers."""
    getattr(target, "module", target).load_state_dict(source.state_dict())


def copy_attention(source: Any, target: Any) -> None:
    """Copy an attention to torchmil; the bias it lacks becomes zero."""
    copy_linear(source.V, target.fc1)
    if source.U is not None:
        copy_linear(source.U, target.fc_gated)
    with torch.no_grad():
        target.fc2.weight.copy_(source.w.weight)
        source.w.bias.zero_()


def make_bag(n: int, dim: int) -> Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(0))


def run_aggregator(aggregator: Aggregator, bag: Tensor, backward: bool) -> Tensor:
    if not backward:
        with torch.no_grad():
            return aggregator(bag).logits  # type: ignore[no-any-return]
    aggregator.zero_grad()
    output = aggregator(bag, torch.ones(1))
    output.loss.backward()
    return output.logits.detach()


def run_torchmil(model: Any, bag: Tensor, backward: bool) -> Tensor:
    batch = bag[None]
    model_name = type(model).__name__
    with_mask = {"mask": torch.ones(batch.shape[:2])} if "DTFD" in model_name else {}
    if not backward:
        with torch.no_grad():
            return model(batch, **with_mask)  # type: ignore[no-any-return]
    model.zero_grad()
    if "CLAM" in model_name:
        logits, losses = compute_clam_loss(model, batch)
    else:
        logits, losses = model.compute_loss(torch.ones(1), batch, **with_mask)
    sum(losses.values()).backward()
    return logits.detach()


def compute_clam_loss(model: Any, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss of the bag alone for torchmil's CLAM.

    Its instance loss raises on a bag without a mask: the targets have one axis too many for its own
    SVM.
    """
    logits = model(batch)
    return logits, {"bag": model.criterion(logits, torch.ones(1))}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_of(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def disable_shuffling() -> None:
    """Make torchmil's DTFD take instances in order instead of at random."""
    np.random.shuffle = lambda index: None  # type: ignore[assignment]


def disable_dropout(network: nn.Module) -> None:
    """Switch dropout off, which torchmil does not have."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()


def rounds_for(name: str, n: int) -> int:
    """Return how often passes are timed, fewer for more work."""
    work = n * (30 if name == "transmil" else 1)
    if work > 2_000_000:
        return 1
    return 3 if work > 200_000 else 7


def compare(name: str, n: int, dim: int, backward: bool) -> dict[str, float]:
    """Measure CPU seconds of both sides and the difference of their logits."""
    disable_shuffling()
    aggregator, reference = create_pair(name, dim)
    aggregator.train(backward)
    disable_dropout(aggregator)
    reference.train(backward)
    bag = make_bag(n, dim)
    logits = run_aggregator(aggregator, bag, False).reshape(-1)
    reference_logits = run_torchmil(reference, bag, False).reshape(-1)
    own_times = []
    reference_times = []
    for _ in range(rounds_for(name, n)):
        own_times.append(time_of(lambda: run_aggregator(aggregator, bag, backward)))
        reference_times.append(time_of(lambda: run_torchmil(reference, bag, backward)))
    return {
        "napari-mil": statistics.median(own_times),
        "torchmil": statistics.median(reference_times),
        "difference": (logits - reference_logits).abs().max().item(),
    }


def measure_memory(name: str, n: int, dim: int, backward: bool, side: str) -> dict[str, float]:
    """Measure the peak memory of one pass above the loaded bag, MB."""
    disable_shuffling()
    aggregator, reference = create_pair(name, dim)
    disable_dropout(aggregator)

    def run(bag: Tensor) -> Tensor:
        if side == "napari-mil":
            return run_aggregator(aggregator, bag, backward)
        return run_torchmil(reference, bag, backward)

    run(make_bag(300, dim))
    bag = make_bag(n, dim)
    before = peak_mb()
    run(bag)
    return {"mb": peak_mb() - before}


def measure_half_bag(name: str, n: int, dim: int) -> dict[str, float]:
    """Measure a bag in 16 bits beside torchmil in float32.

    Also how far the scores are from those of the same aggregator in float32.
    """
    aggregator, reference = create_pair(name, dim)
    aggregator.eval()
    bag = make_bag(n, dim)
    half = bag.bfloat16()
    with torch.no_grad():
        exact = aggregator(bag)
        rounded = aggregator(half)
    assert exact.scores is not None
    assert rounded.scores is not None
    top_exact, top_rounded = (
        set(output.scores[:, 0].topk(50).indices.tolist()) for output in (exact, rounded)
    )
    times: dict[str, list[float]] = {"half": [], "single": [], "torchmil": []}
    for _ in range(7):
        times["half"].append(time_of(lambda: run_aggregator(aggregator, half, False)))
        times["single"].append(time_of(lambda: run_aggregator(aggregator, bag, False)))
        times["torchmil"].append(time_of(lambda: run_torchmil(reference, bag, False)))
    return {
        **{kind: statistics.median(values) for kind, values in times.items()},
        "difference": (exact.scores - rounded.scores).abs().max().item(),
        "spread": exact.scores.std().item(),
        "common": float(len(top_exact & top_rounded)),
    }


def measure_linkage(side: str, n: int, dim: int) -> dict[str, float]:
    """Measure single linkage of clumped points: CPU seconds and memory."""
    from scipy.cluster.hierarchy import linkage

    generator = np.random.default_rng(0)
    points = generator.normal(size=(n, dim)).astype(np.float32)
    points += np.repeat(generator.normal(size=(50, dim)).astype(np.float32), n // 50, 0)

    def run(x: np.ndarray) -> Any:
        return single_linkage(x).heights if side == "napari-mil" else linkage(x, "single")[:, 2]

    run(points[:200])
    before = peak_mb()
    start = time.process_time()
    heights = run(points)
    return {
        "seconds": time.process_time() - start,
        "mb": peak_mb() - before,
        "heights": float(np.sum(heights)),
    }


def measure_hamil(side: str, n: int, dim: int) -> dict[str, float]:
    """Measure one forward pass of HAMIL, or of algorithm 1 as printed."""
    torch.manual_seed(0)
    aggregator = create_aggregator("hamil", dim, 2, order="index").eval()
    bag = make_bag(n, dim)
    aggregator(bag[:50])
    start = time.process_time()
    with torch.no_grad():
        if side == "napari-mil":
            logits = aggregator(bag).logits
        else:
            logits = run_hamil_as_printed(aggregator, bag)
    return {"seconds": time.process_time() - start, "logit": logits[0].item()}


def run_hamil_as_printed(aggregator: Any, bag: Tensor) -> Tensor:
    """Run algorithm 1 as printed, with one convolution call per merge.

    Single-link distances of clusters are stored and updated, which the paper leaves open.
    """
    pairwise = torch.cdist(bag.double(), bag.double()).tolist()
    distances = {i: dict(enumerate(row)) for i, row in enumerate(pairwise)}
    nodes = dict(enumerate(bag))
    while len(distances) > 1:
        smallest = float("inf")
        pair = (0, 0)
        indices = list(distances)
        for position, i in enumerate(indices):
            row = distances[i]
            for j in indices[position + 1 :]:
                if row[j] < smallest:
                    smallest = row[j]
                    pair = (i, j)
        # The merged node is as near to another as the nearer of its two children.
        merged = len(nodes)
        first = distances.pop(pair[0])
        second = distances.pop(pair[1])
        distances[merged] = {k: min(first[k], second[k]) for k in distances}
        for k, distance in distances[merged].items():
            distances[k][merged] = distance
        nodes[merged] = aggregator.unit(nodes[pair[0]][None], nodes[pair[1]][None])[0]
    return aggregator.classifier(nodes[len(nodes) - 1])  # type: ignore[no-any-return]


def measure_packed(name: str, n_bags: int, dim: int) -> dict[str, float]:
    """Measure many small bags, one by one and packed.

    Sizes are as in MUSK1 (92 bags, 476 instances). A name that ends with ``:bare`` is an aggregator
    without projection.
    """
    generator = np.random.default_rng(1)
    sizes = np.minimum(40, 2 + generator.geometric(0.31, n_bags) - 1)
    bags = [make_bag(int(size), dim) for size in sizes]
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    name, _, bare = name.partition(":")
    options = {"hidden": None} if bare else {}
    aggregator = create_aggregator(name, dim, 1, **options).eval()
    instances = torch.cat(bags)

    def run_one_by_one() -> Tensor:
        return torch.stack([aggregator(bag).logits for bag in bags])

    def run_packed() -> Tensor:
        return aggregator.forward_packed(instances, offsets).logits

    def train_one_by_one() -> None:
        run_one_by_one().sum().backward()

    def train_packed() -> None:
        run_packed().sum().backward()

    with torch.no_grad():
        difference = (run_one_by_one() - run_packed()).abs().max().item()
        forward = alternate({"loop": run_one_by_one, "packed": run_packed}, rounds=40)
    trained = alternate(
        {"loop, trained": train_one_by_one, "packed, trained": train_packed}, rounds=20
    )
    return {**forward, **trained, "difference": difference}


def alternate(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Time functions in turns; return the median CPU seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(time_of(function))
    return {name: statistics.median(values) for name, values in times.items()}


def measure_in_process(*arguments: Any) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.aggregators", *map(str, arguments)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def print_header(*titles: str) -> None:
    """Print the head of a Markdown table."""
    print_row(*titles)
    print_row(*["---"] * len(titles))


def print_row(*cells: str) -> None:
    """Print one row of a Markdown table at once."""
    print(f"| {' | '.join(cells)} |", flush=True)


def report() -> None:
    """Print the section of the page."""
    print("## Aggregators\n")
    report_comparison()
    report_half_bags()
    report_trees()
    report_packed_bags()


def report_comparison() -> None:
    print(
        "CPU seconds of one thread, medians of alternating passes in one process; memory is the "
        "peak of a process of its own above the loaded bag. torchmil has the same weights; "
        "*difference* is the largest of the logits. torchmil's DTFD has plain attention (as does "
        "napari-mil's here) and distils whole pseudo-bags unless asked for AFS, which is compared; "
        "its CLAM instance loss raises, so the bag loss alone is trained against napari-mil's with "
        "instances; its TransMIL has no convolution of the values and no output projection, which "
        "napari-mil computes all the same.\n"
    )
    print_header(
        "aggregator",
        "N × D",
        "pass",
        "napari-mil, s",
        "torchmil, s",
        "ratio",
        "napari-mil, MB",
        "torchmil, MB",
        "difference",
    )
    for name in ("abmil", "dsmil", "clam", "dtfd", "transmil"):
        for dim in DIMS:
            for n in SIZES:
                for backward in (False, True):
                    report_comparison_of(name, n, dim, backward)


def report_comparison_of(name: str, n: int, dim: int, backward: bool) -> None:
    seconds = measure_in_process("compare", name, n, dim, backward)
    mb = {
        side: measure_in_process("memory", name, n, dim, backward, side)["mb"]
        for side in ("napari-mil", "torchmil")
    }
    print_row(
        name,
        f"{n:,} × {dim}",
        "forward + backward" if backward else "forward",
        f"{seconds['napari-mil']:.4f}",
        f"{seconds['torchmil']:.4f}",
        f"{seconds['torchmil'] / seconds['napari-mil']:.2f} ×",
        f"{mb['napari-mil']:.0f}",
        f"{mb['torchmil']:.0f}",
        f"{seconds['difference']:.0e}",
    )


def report_half_bags() -> None:
    print("\n### A bag in 16 bits\n")
    print(
        "Gated ABMIL, forward. `aggregator(bag.bfloat16())` multiplies in 16 bits and adds up "
        "in 32.\n"
    )
    print_header(
        "N × D",
        "16 bits, s",
        "32 bits, s",
        "torchmil, s",
        "ratio to torchmil",
        "difference of scores (their spread)",
        "common of the top 50",
    )
    for dim in DIMS:
        m = measure_in_process("half", "abmil", 100_000, dim)
        print_row(
            f"100 000 × {dim}",
            f"{m['half']:.3f}",
            f"{m['single']:.3f}",
            f"{m['torchmil']:.3f}",
            f"{m['torchmil'] / m['half']:.1f} ×",
            f"{m['difference']:.4f} ({m['spread']:.3f})",
            f"{m['common']:.0f}",
        )


def report_trees() -> None:
    print("\n### Trees and merges\n")
    print("Clumped points of 512 numbers. scipy is `linkage(x, 'single')`.\n")
    print_header(
        "", "N", "napari-mil, s", "reference, s", "ratio", "napari-mil, MB", "reference, MB"
    )
    for n in (2_000, 10_000):
        own = measure_in_process("tree", "napari-mil", n, 512)
        scipy = measure_in_process("tree", "scipy", n, 512)
        print_row(
            "single linkage, scipy",
            f"{n:,}",
            f"{own['seconds']:.2f}",
            f"{scipy['seconds']:.2f}",
            f"{scipy['seconds'] / own['seconds']:.1f} ×",
            f"{own['mb']:.0f}",
            f"{scipy['mb']:.0f}",
        )
    own = measure_in_process("tree", "napari-mil", 50_000, 512)
    seconds = f"{own['seconds']:.0f}"
    print_row("single linkage", "50,000", seconds, "–", "–", f"{own['mb']:.0f}", "–")
    own = measure_in_process("hamil", "napari-mil", 1_000, 512)
    printed = measure_in_process("hamil", "printed", 1_000, 512)
    print_row(
        "HAMIL forward, algorithm 1 as printed",
        "1,000",
        f"{own['seconds']:.3f}",
        f"{printed['seconds']:.1f}",
        f"{printed['seconds'] / own['seconds']:.0f} ×",
        "–",
        "–",
    )
    own = measure_in_process("hamil", "napari-mil", 10_000, 512)
    print_row("HAMIL forward", "10,000", f"{own['seconds']:.1f}", "–", "–", "–", "–")


def report_packed_bags() -> None:
    print("\n### Many small bags\n")
    print("92 bags of the sizes of MUSK1, 166 numbers; `forward_packed` beside one call a bag.\n")
    print_header(
        "aggregator",
        "forward one by one, ms",
        "packed, ms",
        "ratio",
        "forward + backward one by one, ms",
        "packed, ms",
        "ratio",
        "difference",
    )
    for name in PACKED_AGGREGATORS:
        report_packed_bags_of(name, name)
        if "abmil" in name or "embedding" in name:
            report_packed_bags_of(f"{name}:bare", f"{name}, no projection")


def report_packed_bags_of(name: str, title: str) -> None:
    m = measure_in_process("packed", name, 92, 166)
    print_row(
        title,
        f"{1000 * m['loop']:.2f}",
        f"{1000 * m['packed']:.2f}",
        f"{m['loop'] / m['packed']:.0f} ×",
        f"{1000 * m['loop, trained']:.2f}",
        f"{1000 * m['packed, trained']:.2f}",
        f"{m['loop, trained'] / m['packed, trained']:.0f} ×",
        f"{m['difference']:.0e}",
    )


def main() -> None:
    if len(sys.argv) == 1:
        report()
        return
    torch.set_num_threads(1)
    kind, name, n, dim, *more = sys.argv[1:]
    if kind == "compare":
        figures = compare(name, int(n), int(dim), more[0] == "True")
    elif kind == "memory":
        figures = measure_memory(name, int(n), int(dim), more[0] == "True", more[1])
    else:
        measure = {
            "half": measure_half_bag,
            "tree": measure_linkage,
            "hamil": measure_hamil,
            "packed": measure_packed,
        }
        figures = measure[kind](name, int(n), int(dim))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
