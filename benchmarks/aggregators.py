"""Aggregators beside torchmil on the same weights, and the forms they take: 16 bits, packed bags, trees.

Each measurement runs in a process of its own (`python -m benchmarks.aggregators WHAT ...`), so that its peak memory is its own; ours and
theirs alternate, and what is reported is the median of their CPU seconds.
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
DIMS = (512, 1024)


def peer(name: str, dim: int) -> tuple[Aggregator, nn.Module]:
    """Return ours and torchmil's of the same weights: one output unit, no projection where torchmil has none."""
    from torchmil import models

    torch.manual_seed(0)
    ours: Any
    theirs: Any
    if name == "abmil":
        ours, theirs = (
            create_aggregator("gated-abmil", dim, 1, hidden=None),
            models.ABMIL((dim,), gated=True),
        )
        share_attention(ours.attention, theirs.pool)
        copy(ours.classifier, theirs.classifier)
    elif name == "clam":
        ours, theirs = (
            create_aggregator("clam-sb", dim, 1, hidden=None, attention_dim=128),
            models.CLAM_SB((dim,), gated=True),
        )
        share_attention(ours.attention, theirs.pool)
        copy(ours.classifier, theirs.classifier)
    elif name == "dsmil":
        ours, theirs = (
            create_aggregator("dsmil-released", dim, 1, nonlinear_q=False),
            models.DSMIL((dim,)),
        )
        copy(ours.q, theirs.q_nn)
        copy(ours.instance_classifier, theirs.inst_classifier)
        with torch.no_grad():
            theirs.bag_classifier.weight.copy_(ours.bag_classifier.weight[0])
            theirs.bag_classifier.bias.copy_(ours.bag_classifier.bias)
    elif name == "dtfd":
        ours = create_aggregator("dtfd", dim, 1, hidden=None, groups=8, shuffle=False)
        theirs = models.DTFDMIL((dim,), n_groups=8, distill_mode="afs")
        for mine, other in (
            (ours.attention1, theirs.attention_pool),
            (ours.attention2, theirs.u_attention_pool),
        ):
            ungate(mine)
            share_attention(mine, other)
        copy(ours.classifier1, theirs.classifier)
        copy(ours.classifier2, theirs.u_classifier)
    else:
        ours, theirs = (
            create_aggregator("transmil", dim, 1, heads=8),
            models.TransMIL((dim,), n_heads=8),
        )
        share_transmil(ours, theirs)
    return ours, theirs


def copy(ours: nn.Linear, theirs: Any) -> None:
    getattr(theirs, "module", theirs).load_state_dict(
        ours.state_dict()
    )  # torchmil wraps some of its layers


def share_attention(ours: Any, theirs: Any) -> None:
    copy(ours.V, theirs.fc1)
    if ours.U is not None:
        copy(ours.U, theirs.fc_gated)
    with torch.no_grad():
        theirs.fc2.weight.copy_(ours.w.weight)
        ours.w.bias.zero_()


def ungate(attention: Any) -> None:
    """Torchmil's DTFD has plain attention where the paper's is gated."""
    attention.U = None


def share_transmil(ours: Any, theirs: Any) -> None:
    """Torchmil has no convolution of the values and no output projection: ours computes them all the same, as zeros and the identity."""
    with torch.no_grad():
        theirs.cls_token.copy_(ours.cls_token)
        if (
            ours.in_dim == 512
        ):  # torchmil then has no projection, and none of ReLU: the bag is not negative
            nn.init.eye_(ours.projection[0].weight)
            nn.init.zeros_(ours.projection[0].bias)
        else:
            nn.init.zeros_(theirs.fc1.bias)
            theirs.fc1.weight.copy_(ours.projection[0].weight.abs_())
            nn.init.zeros_(ours.projection[0].bias)
        for mine, other in zip((ours.layer1, ours.layer2), theirs.layers, strict=True):
            other.att_module.qkv_nn.weight.copy_(mine.attn.to_qkv.weight)
            nn.init.zeros_(mine.attn.res_conv.weight)
            nn.init.eye_(mine.attn.to_out[0].weight)
            nn.init.zeros_(mine.attn.to_out[0].bias)
            other.norm1.load_state_dict(mine.norm.state_dict())
        theirs.pos_layer.load_state_dict(ours.pos_layer.state_dict())
        theirs.norm.load_state_dict(ours.norm.state_dict())
        copy(ours.classifier, theirs.classifier)


def bag_of(n: int, dim: int) -> Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(0))


def our_pass(aggregator: Aggregator, bag: Tensor, backward: bool) -> Tensor:
    if not backward:
        with torch.no_grad():
            return aggregator(bag).logits  # type: ignore[no-any-return]
    aggregator.zero_grad()
    output = aggregator(bag, torch.ones(1))
    output.loss.backward()
    return output.logits.detach()


def their_pass(model: Any, bag: Tensor, backward: bool) -> Tensor:
    batch = bag[None]
    with_mask = {"mask": torch.ones(batch.shape[:2])} if "DTFD" in type(model).__name__ else {}
    if not backward:
        with torch.no_grad():
            return model(batch, **with_mask)  # type: ignore[no-any-return]
    model.zero_grad()
    logits, losses = (
        model.compute_loss(torch.ones(1), batch, **with_mask)
        if "CLAM" not in type(model).__name__
        else clam_loss(model, batch)
    )
    sum(losses.values()).backward()
    return logits.detach()


def clam_loss(model: Any, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Torchmil's instance loss raises on a bag without a mask (its targets have one axis too many for its own SVM): only the bag's is asked."""
    logits = model(batch)
    return logits, {"bag": model.criterion(logits, torch.ones(1))}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_of(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def compare(name: str, n: int, dim: int, backward: bool) -> dict[str, float]:
    """CPU seconds of both, alternating, and how far their answers are apart."""
    np.random.shuffle = lambda index: None  # type: ignore[assignment]  # torchmil's DTFD deals instances at random, ours in order
    ours, theirs = peer(name, dim)
    ours.train(backward)
    for module in ours.modules():
        if isinstance(module, nn.Dropout):  # torchmil has none
            module.eval()
    theirs.train(backward)
    bag = bag_of(n, dim)
    apart = (
        (our_pass(ours, bag, False).reshape(-1) - their_pass(theirs, bag, False).reshape(-1))
        .abs()
        .max()
        .item()
    )
    work = n * (30 if name == "transmil" else 1)
    rounds = 1 if work > 2_000_000 else 3 if work > 200_000 else 7
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        times["ours"].append(time_of(lambda: our_pass(ours, bag, backward)))
        times["theirs"].append(time_of(lambda: their_pass(theirs, bag, backward)))
    return {**{who: statistics.median(values) for who, values in times.items()}, "apart": apart}


def memory(name: str, n: int, dim: int, backward: bool, who: str) -> dict[str, float]:
    """Peak memory of one pass above the loaded bag, MB."""
    np.random.shuffle = lambda index: None  # type: ignore[assignment]
    ours, theirs = peer(name, dim)
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    run: Callable[[Tensor], Tensor] = (
        (lambda bag: our_pass(ours, bag, backward))
        if who == "ours"
        else (lambda bag: their_pass(theirs, bag, backward))
    )
    run(bag_of(300, dim))
    bag = bag_of(n, dim)
    before = peak_mb()
    run(bag)
    return {"mb": peak_mb() - before}


def half_bag(name: str, n: int, dim: int) -> dict[str, float]:
    """Compare a bag kept in 16 bits with torchmil in float32, and say what it changes in our answer."""
    ours, theirs = peer(name, dim)
    ours.eval()
    bag = bag_of(n, dim)
    half = bag.bfloat16()
    with torch.no_grad():
        exact, rounded = ours(bag), ours(half)
    assert exact.scores is not None
    assert rounded.scores is not None
    top = [set(output.scores[:, 0].topk(50).indices.tolist()) for output in (exact, rounded)]
    times: dict[str, list[float]] = {"ours": [], "single": [], "theirs": []}
    for _ in range(7):
        times["ours"].append(time_of(lambda: our_pass(ours, half, False)))
        times["single"].append(time_of(lambda: our_pass(ours, bag, False)))
        times["theirs"].append(time_of(lambda: their_pass(theirs, bag, False)))
    return {
        **{who: statistics.median(values) for who, values in times.items()},
        "apart": (exact.scores - rounded.scores).abs().max().item(),
        "spread": exact.scores.std().item(),
        "kept": float(len(top[0] & top[1])),
    }


def tree(kind: str, n: int, dim: int) -> dict[str, float]:
    """Single linkage of clumped points: CPU seconds and extra memory."""
    from scipy.cluster.hierarchy import linkage

    generator = np.random.default_rng(0)
    points = generator.normal(size=(n, dim)).astype(np.float32)
    points += np.repeat(generator.normal(size=(50, dim)).astype(np.float32), n // 50, 0)
    run: Callable[[Any], Any] = (
        (lambda x: single_linkage(x).heights)
        if kind == "ours"
        else (lambda x: linkage(x, "single")[:, 2])
    )
    run(points[:200])
    before, start = peak_mb(), time.process_time()
    heights = run(points)
    return {
        "seconds": time.process_time() - start,
        "mb": peak_mb() - before,
        "heights": float(np.sum(heights)),
    }


def hamil(kind: str, n: int, dim: int) -> dict[str, float]:
    """One forward pass: ours, or algorithm 1 as printed with one convolution call per merge."""
    torch.manual_seed(0)
    aggregator = create_aggregator("hamil", dim, 2, order="index").eval()
    bag = bag_of(n, dim)
    aggregator(bag[:50])
    start = time.process_time()
    with torch.no_grad():
        logits = aggregator(bag).logits if kind == "ours" else hamil_as_printed(aggregator, bag)
    return {"seconds": time.process_time() - start, "logit": logits[0].item()}


def hamil_as_printed(aggregator: Any, bag: Tensor) -> Tensor:
    """Run algorithm 1 as printed, then its queue; single-link distances of clusters are kept and updated, which the paper leaves to the reader."""
    between = torch.cdist(bag.double(), bag.double()).tolist()
    apart = {i: dict(enumerate(row)) for i, row in enumerate(between)}
    nodes = dict(enumerate(bag))
    while len(apart) > 1:
        smallest, pair = float("inf"), (0, 0)
        indices = list(apart)
        for position, i in enumerate(indices):
            row = apart[i]
            for j in indices[position + 1 :]:
                if row[j] < smallest:
                    smallest, pair = row[j], (i, j)
        new = len(nodes)
        first, second = apart.pop(pair[0]), apart.pop(pair[1])
        apart[new] = {k: min(first[k], second[k]) for k in apart}
        for k, distance in apart[new].items():
            apart[k][new] = distance
        nodes[new] = aggregator.unit(nodes[pair[0]][None], nodes[pair[1]][None])[0]
    return aggregator.classifier(nodes[len(nodes) - 1])  # type: ignore[no-any-return]


def packed(name: str, n_bags: int, dim: int) -> dict[str, float]:
    """Many small bags (sizes as MUSK1: 92 bags, 476 instances): one by one and packed."""
    generator = np.random.default_rng(1)
    sizes = np.minimum(40, 2 + generator.geometric(0.31, n_bags) - 1)
    bags = [bag_of(int(size), dim) for size in sizes]
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    name, _, bare = name.partition(":")
    aggregator, together = (
        create_aggregator(name, dim, 1, **({"hidden": None} if bare else {})).eval(),
        torch.cat(bags),
    )

    def loop() -> Tensor:
        return torch.stack([aggregator(bag).logits for bag in bags])

    def pack() -> Tensor:
        return aggregator.forward_packed(together, offsets).logits

    with torch.no_grad():
        apart = (loop() - pack()).abs().max().item()
        times = [(time_of(loop), time_of(pack)) for _ in range(40)]
    trained = [
        (time_of(lambda: loop().sum().backward()), time_of(lambda: pack().sum().backward()))
        for _ in range(20)
    ]
    middle = [
        statistics.median(column)
        for column in (*zip(*times, strict=True), *zip(*trained, strict=True))
    ]
    return {
        **dict(zip(("loop", "packed", "loop, trained", "packed, trained"), middle, strict=True)),
        "apart": apart,
    }


def in_process(*arguments: Any) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.aggregators", *map(str, arguments)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def report() -> None:
    """Print the section of the page."""
    print("## Aggregators\n")
    print(
        "CPU seconds of one thread, medians of alternating passes in one process; memory is the peak of a process of its own above the loaded bag. "
        "*theirs* is torchmil on the same weights; *apart* is the largest difference of the logits. "
        "torchmil's DTFD has plain attention (so has ours here) and distils whole pseudo-bags unless asked for AFS, which is compared; its CLAM "
        "instance loss raises, so the bag loss alone is trained against ours with instances; its TransMIL has no convolution of the values and no "
        "output projection, which ours computes all the same.\n"
    )
    print(
        "| aggregator | N × D | pass | ours, s | theirs, s | ratio | ours, MB | theirs, MB | apart |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in ("abmil", "dsmil", "clam", "dtfd", "transmil"):
        for dim in DIMS:
            for n in SIZES:
                for backward in (False, True):
                    row(name, n, dim, backward)
    print("\n### A bag kept in 16 bits\n")
    print(
        "Gated ABMIL, forward. `aggregator(bag.bfloat16())` multiplies in 16 bits and adds up in 32.\n"
    )
    print(
        "| N × D | 16 bits, s | 32 bits, s | torchmil, s | ratio to torchmil | scores apart (their spread) | of the top 50 kept |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for dim in DIMS:
        m = in_process("half", "abmil", 100_000, dim)
        print(
            f"| 100 000 × {dim} | {m['ours']:.3f} | {m['single']:.3f} | {m['theirs']:.3f} | {m['theirs'] / m['ours']:.1f} × | "
            f"{m['apart']:.4f} ({m['spread']:.3f}) | {m['kept']:.0f} |"
        )
    print("\n### Trees and merges\n")
    print("Clumped points of 512 numbers. scipy is `linkage(x, 'single')`.\n")
    print("| | N | ours, s | reference, s | ratio | ours, MB | reference, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for n in (2_000, 10_000):
        a, b = in_process("tree", "ours", n, 512), in_process("tree", "scipy", n, 512)
        print(
            f"| single linkage, scipy | {n:,} | {a['seconds']:.2f} | {b['seconds']:.2f} | {b['seconds'] / a['seconds']:.1f} × | {a['mb']:.0f} | {b['mb']:.0f} |"
        )
    a = in_process("tree", "ours", 50_000, 512)
    print(f"| single linkage | 50,000 | {a['seconds']:.0f} | – | – | {a['mb']:.0f} | – |")
    a, b = in_process("hamil", "ours", 1_000, 512), in_process("hamil", "printed", 1_000, 512)
    print(
        f"| HAMIL forward, algorithm 1 as printed | 1,000 | {a['seconds']:.3f} | {b['seconds']:.1f} | {b['seconds'] / a['seconds']:.0f} × | – | – |"
    )
    a = in_process("hamil", "ours", 10_000, 512)
    print(f"| HAMIL forward | 10,000 | {a['seconds']:.1f} | – | – | – | – |")
    print("\n### Many small bags\n")
    print("92 bags of the sizes of MUSK1, 166 numbers; `forward_packed` beside one call a bag.\n")
    print(
        "| aggregator | forward one by one, ms | packed, ms | ratio | forward + backward one by one, ms | packed, ms | ratio | apart |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in (
        "abmil",
        "gated-abmil",
        "dsmil",
        "dsmil-released",
        "mi-net-instance",
        "mi-net",
        "mi-net-ds",
        "mi-net-rc",
        "embedding-mean",
    ):
        for bare in (False, True) if "abmil" in name or "embedding" in name else (False,):
            m = in_process("packed", name + ":bare" * bare, 92, 166)
            packed_row(name + ", no projection" * bare, m)


def packed_row(name: str, m: dict[str, float]) -> None:
    print(
        f"| {name} | {1000 * m['loop']:.2f} | {1000 * m['packed']:.2f} | {m['loop'] / m['packed']:.0f} × | "
        f"{1000 * m['loop, trained']:.2f} | {1000 * m['packed, trained']:.2f} | {m['loop, trained'] / m['packed, trained']:.0f} × | {m['apart']:.0e} |",
        flush=True,
    )


def row(name: str, n: int, dim: int, backward: bool) -> None:
    t = in_process("compare", name, n, dim, backward)
    mb = {
        who: in_process("memory", name, n, dim, backward, who)["mb"] for who in ("ours", "theirs")
    }
    print(
        f"| {name} | {n:,} × {dim} | {'forward + backward' if backward else 'forward'} | {t['ours']:.4f} | {t['theirs']:.4f} | "
        f"{t['theirs'] / t['ours']:.2f} × | {mb['ours']:.0f} | {mb['theirs']:.0f} | {t['apart']:.0e} |",
        flush=True,
    )


def main() -> None:
    if len(sys.argv) == 1:
        report()
        return
    torch.set_num_threads(1)
    what, name, n, dim, *rest = sys.argv[1:]
    if what in ("compare", "memory"):
        measured = {"compare": compare, "memory": memory}[what](
            name, int(n), int(dim), rest[0] == "True", *rest[1:]
        )  # type: ignore[operator]
    else:
        measured = {"half": half_bag, "tree": tree, "hamil": hamil, "packed": packed}[what](
            name, int(n), int(dim)
        )
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
