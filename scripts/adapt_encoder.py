"""Adapts the encoder `efficientnet-lite0` to histology, and tells whether that helped.

python -m scripts.adapt_encoder DATA CACHE OUT PAGE

DATA holds breast/, colon/, ebhi/ and pcam/. The network goes on learning from the ImageNet weights,
by two tasks at once: tumour or not in the lymph node tiles of `train` (PatchCamelyon, CC0), and the
six classes of the biopsies of half of the cases (EBHI-Seg, CC BY 4.0). OUT gets the encoder, as
`--encoder` takes it; one that is there already is probed and not learned again. The section
"Adapted to histology" of PAGE, between its marks, is written anew. Features are kept in CACHE,
which `scripts.encoder_probes` shares.

No probe uses an image that was learned from as a test: lymph node tiles are tested on `test`,
biopsies on the other half of the cases, and breast images and colon nuclei were never seen.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from napari_mil.encoders.adapted import AdaptedEncoder, read_trunk, write_encoder
from napari_mil.encoders.adapted_cards import (
    AdaptationFacts,
    AdaptedEncoderCard,
    ProbeFigure,
    adapted_encoder_at,
    read_adapted_card,
)
from napari_mil.encoders.cards import EFFICIENTNET_LITE0
from napari_mil.encoders.efficientnet_lite import released_trunk
from napari_mil.networks.efficientnet_lite import EfficientNetLite0Trunk
from napari_mil.training.determinism import epoch_seed
from napari_mil.training.evaluation.folds import stratified_group_folds
from napari_mil.training.evaluation.metrics import auc
from napari_mil.training.pretraining.augmentation import Augmentation
from napari_mil.training.pretraining.fitting import FIRST_TRAINED, Network
from scripts.encoder_features import (
    ENCODER,
    ProbeSet,
    biopsies,
    biopsy_rows,
    breast,
    colon,
    is_tumour,
    kept,
    lymph_node_tiles,
    lymph_nodes,
    network_statistics,
)
from scripts.encoder_probes import (
    BIOPSIES,
    BREAST,
    COLON,
    FEATURES,
    LYMPH_NODES,
    folds_of,
    run_fold,
)
from scripts.shipped_classifiers import difference, say

ADAPTED = "adapted"
SHIPPED_FEATURES = "means and centre means of 4 and 10"
"""The encoder's own vector."""
REPEATS = {BREAST: 4}
"""Draws of the folds where they are not one."""
CUTS = {COLON: "96 px at 0.55 µm/px"}
"""Ways to cut a picture that are not chosen: every fold chose this one for the ImageNet weights."""
SAMPLES = 1000
"""Samples of the bootstrap."""
VIEW_PX = 96
BIOPSY_PX = 112
"""Side to which images of biopsies are reduced; views are cut from it."""
LYMPH_NODES_AT_ONCE = 64
BIOPSIES_AT_ONCE = 24
BIOPSY_WEIGHT = 0.5
"""Weight of the task of biopsies in the loss."""
RATE = 3e-4
"""Learning rate of the network; it rises over `WARM_UP` steps and falls to 0 as a cosine."""
HEAD_RATE = 2e-3
WARM_UP = 50
DROPOUT = 0.2
SHARE_OF_STEP = 0.01
"""Share of the newest weights in their running average, which is what is kept."""
SAMPLE_CASE = "GT2012358"
"""Case in `sample_data`, which no training may see."""
BEGIN = "<!-- adapted: begin -->"
END = "<!-- adapted: end -->"


@dataclass(frozen=True)
class Tasks:
    """Labelled tiles that the network learns from, and those that watch it."""

    lymph_nodes: Tensor
    """uint8 (N, 96, 96, 3), of `train`."""
    tumour: Tensor
    """float32 (N,)."""
    biopsies: Tensor
    """uint8 (M, 112, 112, 3), of half of the cases."""
    diagnosis: Tensor
    """int (M,)."""
    cases: frozenset[str]
    """Cases of these biopsies."""
    watched: np.ndarray
    """uint8 (V, 96, 96, 3), of `valid`."""
    watched_tumour: np.ndarray
    """int (V,)."""


@dataclass(frozen=True)
class Comparison:
    """Probe of both encoders on one set."""

    name: str
    tested: int
    before: float
    after: float
    gain: Mapping[str, float]
    """Mean, low and high of the paired difference."""
    groups: int


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    tasks = read_tasks(arguments.data)
    if adapted_encoder_at(arguments.out) is None:
        started = time.process_time()
        adapted = adapt(tasks, arguments.epochs, arguments.first_block)
        facts = {
            "first_block": arguments.first_block,
            "minutes": round((time.process_time() - started) / 60, 1),
        }
        say(f"learned in {facts['minutes']} minutes of one core")
        # First of all: probing takes as long again.
        described = card_of(arguments.out.name, adapted, tasks, arguments.epochs, facts)
        write_encoder(described, adapted, arguments.out)
    card = read_adapted_card(arguments.out)
    adapted = read_trunk(arguments.out)
    cache = arguments.cache / f"{ADAPTED}-{card.fingerprint}"
    found = compare(arguments.data, arguments.cache, cache, adapted, tasks.cases)
    write_encoder(replace(card, probes=figures_of(found)), adapted, arguments.out)
    report(arguments.page, found, card.training.epochs, float(card.training.settings["minutes"]))


def parse_arguments() -> argparse.Namespace:
    """Read the folders, the page and how much is learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with breast, colon, ebhi and pcam")
    parser.add_argument("cache", type=Path, help="folder for features")
    parser.add_argument("out", type=Path, help="folder of the adapted encoder")
    parser.add_argument("page", type=Path, help="page with a section between the script's marks")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument(
        "--first-block", type=int, default=FIRST_TRAINED, choices=range(1, FIRST_TRAINED + 1)
    )
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def read_tasks(data: Path) -> Tasks:
    """Read what is learned from, and what watches it."""
    rows, tiles = lymph_node_tiles(data / "pcam")
    split = np.array([row["split"] for row in rows])
    tumour = np.array([is_tumour(row) for row in rows])
    biopsy = biopsy_rows(data / "ebhi")
    classes = sorted({row["label"] for row in biopsy})
    diagnosis = np.array([classes.index(row["label"]) for row in biopsy])
    cases = [row["case"] for row in biopsy]
    half = stratified_group_folds(diagnosis, cases, 2, 0) == 0
    learned = np.flatnonzero(half & (np.array(cases) != SAMPLE_CASE))
    size = (BIOPSY_PX, BIOPSY_PX)
    images = (
        Image.open(data / "ebhi" / biopsy[k]["file"])
        .convert("RGB")
        .resize(size, Image.Resampling.BOX)
        for k in learned
    )
    return Tasks(
        torch.tensor(tiles[split == "train"]),
        torch.tensor(tumour[split == "train"], dtype=torch.float32),
        torch.tensor(np.stack([np.asarray(image) for image in images])),
        torch.tensor(diagnosis[learned]),
        frozenset(cases[k] for k in learned),
        tiles[split == "valid"],
        tumour[split == "valid"],
    )


class MultiTask(nn.Module):
    """Network with a linear head for each task.

    Parameters
    ----------
    network
        Its vectors, centred and scaled, go into the heads.
    classes
        Classes of biopsies.
    """

    def __init__(self, network: Network, classes: int) -> None:
        super().__init__()
        self.network = network
        dim = len(network.mean)
        self.tumour = nn.Linear(dim, 1)
        self.diagnosis = nn.Linear(dim, classes)
        for head in (self.tumour, self.diagnosis):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def standardised(self, levels: Tensor) -> Tensor:
        """Return centred and scaled vectors of levels 0 ... 255, (B, H, W, 3)."""
        return (self.network.vectors(levels) - self.network.mean) / self.network.scale

    def loss(
        self, lymph_nodes: Tensor, tumour: Tensor, biopsies: Tensor, diagnosis: Tensor
    ) -> Tensor:
        """Return the loss of both tasks on some views."""
        vectors = self.standardised(torch.cat([lymph_nodes, biopsies]))
        vectors = functional.dropout(vectors, DROPOUT)
        first, second = vectors.split([len(lymph_nodes), len(biopsies)])
        loss = functional.binary_cross_entropy_with_logits(self.tumour(first)[:, 0], tumour)
        return loss + BIOPSY_WEIGHT * functional.cross_entropy(self.diagnosis(second), diagnosis)

    @torch.no_grad()
    def tumour_logits(self, tiles: np.ndarray) -> np.ndarray:
        """Return logits of tiles, uint8 (N, H, W, 3)."""
        parts = torch.tensor(tiles).split(LYMPH_NODES_AT_ONCE)
        return np.concatenate(
            [self.tumour(self.standardised(part))[:, 0].numpy() for part in parts]
        )


def adapt(tasks: Tasks, epochs: int, first_block: int) -> EfficientNetLite0Trunk:
    """Go on learning from the ImageNet weights; return the running average of the weights."""
    torch.manual_seed(0)
    network = Network(released_trunk(), first_block)
    network.measure(tasks.lymph_nodes[::8])
    model = MultiTask(network, int(tasks.diagnosis.max()) + 1)
    learning = [weight for weight in network.learning.parameters() if weight.requires_grad]
    heads = [*model.tumour.parameters(), *model.diagnosis.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": learning, "lr": RATE, "weight_decay": 1e-4},
            {"params": heads, "lr": HEAD_RATE, "weight_decay": 1e-2},
        ],
        fused=True,
    )
    average = {name: each.clone() for name, each in network.trunk.state_dict().items()}
    steps = len(tasks.lymph_nodes) // LYMPH_NODES_AT_ONCE
    for epoch in range(epochs):
        views = torch.Generator().manual_seed(epoch_seed(0, epoch))
        order = torch.randperm(len(tasks.lymph_nodes), generator=views)
        for k, numbers in enumerate(
            order[: steps * LYMPH_NODES_AT_ONCE].split(LYMPH_NODES_AT_ONCE)
        ):
            set_rates(optimiser, epoch * steps + k, epochs * steps)
            step(model, tasks, numbers, optimiser, views)
            follow(average, network.trunk)
        figure = auc(tasks.watched_tumour, model.tumour_logits(tasks.watched))
        say(f"epoch {epoch + 1}: AUC {figure:.4f} on valid, before averaging")
    network.trunk.load_state_dict(average)
    return network.trunk


def set_rates(optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Set the learning rates of network and heads."""
    share = min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2
    optimiser.param_groups[0]["lr"] = RATE * share
    optimiser.param_groups[1]["lr"] = HEAD_RATE * max(share, 0.1)


def step(
    model: MultiTask,
    tasks: Tasks,
    numbers: Tensor,
    optimiser: torch.optim.Optimizer,
    random: torch.Generator,
) -> None:
    """Take one step of the optimiser on views of some tiles and of as random biopsies."""
    drawn = torch.randint(len(tasks.biopsies), (BIOPSIES_AT_ONCE,), generator=random)
    augmentation = Augmentation(VIEW_PX)
    loss = model.loss(
        augmentation.views(tasks.lymph_nodes[numbers], random),
        tasks.tumour[numbers],
        augmentation.views(tasks.biopsies[drawn], random),
        tasks.diagnosis[drawn],
    )
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.network.learning.parameters(), 1.0)
    optimiser.step()


@torch.no_grad()
def follow(average: dict[str, Tensor], trunk: EfficientNetLite0Trunk) -> None:
    """Move a running average of weights towards the newest ones."""
    for name, each in trunk.state_dict().items():
        if each.is_floating_point():
            average[name].lerp_(each, SHARE_OF_STEP)


def compare(
    data: Path,
    released_cache: Path,
    adapted_cache: Path,
    adapted: EfficientNetLite0Trunk,
    cases: frozenset[str],
) -> list[Comparison]:
    """Probe both encoders on what was not learned from."""
    encoders = {ADAPTED: network_statistics(adapted.state_dict())}
    makers = {
        BREAST: ("breast", partial(breast, data / "breast")),
        COLON: ("colon", partial(colon, data / "colon")),
        BIOPSIES: ("biopsies", partial(biopsies, data / "ebhi")),
        LYMPH_NODES: ("lymph", partial(lymph_nodes, data / "pcam")),
    }
    found = []
    for name, (file, make) in makers.items():
        released = kept(released_cache, file, make)
        ours = kept(adapted_cache, file, partial(make, encoders))
        unseen = np.ones(len(released.labels), bool)
        if name == BIOPSIES:
            unseen = np.array([group not in cases for group in released.groups])
        both = {ENCODER: released.of(ENCODER), ADAPTED: ours.of(ADAPTED)}
        found.append(compare_on(name, part_of(released, both, unseen)))
        say(line_of(found[-1]))
    return found


def part_of(
    data: ProbeSet, cuts: Mapping[str, Mapping[str, np.ndarray]], rows: np.ndarray
) -> ProbeSet:
    """Return some rows of a set, with the features of some encoders."""
    features = {
        f"{encoder} | {cut}": matrix[rows]
        for encoder, of_encoder in cuts.items()
        for cut, matrix in of_encoder.items()
    }
    split = None if data.split is None else data.split[rows]
    return ProbeSet(data.labels[rows], data.groups[rows], features, split)


def compare_on(name: str, data: ProbeSet) -> Comparison:
    """Probe both encoders on one set: cut and regularisation chosen on inner folds."""
    chosen = {SHIPPED_FEATURES: FEATURES[SHIPPED_FEATURES]}
    folds = folds_of(data, REPEATS.get(name, 1))
    logits = {}
    for encoder in (ENCODER, ADAPTED):
        logits[encoder] = np.full((len(folds), len(data.labels)), np.nan)
        for repeat, of_repeat in enumerate(folds):
            for fold in of_repeat:
                cuts = data.of(encoder)
                if name in CUTS:
                    cuts = {CUTS[name]: cuts[CUTS[name]]}
                result = run_fold(data.labels, cuts, chosen, fold)
                logits[encoder][repeat, fold.test] = result.outer[SHIPPED_FEATURES][1]
    rows = np.flatnonzero(~np.isnan(logits[ENCODER][0]))
    labels = data.labels[rows]
    groups = data.groups[rows].tolist()
    before, after = (
        float(np.mean([auc(labels, row[rows]) for row in logits[encoder]]))
        for encoder in (ENCODER, ADAPTED)
    )
    gain = difference(labels, logits[ADAPTED][:, rows], logits[ENCODER][:, rows], groups, SAMPLES)
    return Comparison(name, len(rows), before, after, gain, len(set(groups)))


def helps(found: list[Comparison]) -> bool:
    """Say whether the adapted encoder is to be kept: better on one set, worse on none."""
    is_better = any(each.gain["low"] > 0 for each in found)
    return is_better and not any(each.gain["high"] < 0 for each in found)


def card_of(
    name: str,
    adapted: EfficientNetLite0Trunk,
    tasks: Tasks,
    epochs: int,
    settings: Mapping[str, float],
) -> AdaptedEncoderCard:
    """Describe the encoder, not probed yet."""
    encoder = AdaptedEncoder(
        EFFICIENTNET_LITE0, adapted, torch.device("cpu"), 1, precision="float32"
    )
    facts = AdaptationFacts(
        method="supervised, lymph node tiles and biopsies",
        slides=len(tasks.cases),
        held_out="sets and cases that were not learned from",
        tiles=len(tasks.lymph_nodes) + len(tasks.biopsies),
        epochs=epochs,
        content="PatchCamelyon train (CC0), EBHI-Seg (CC BY 4.0)",
        settings=settings,
        torch=torch.__version__,
    )
    return AdaptedEncoderCard(
        name=name,
        base=ENCODER,
        fingerprint=encoder.fingerprint,
        tile_px=EFFICIENTNET_LITE0.tile_px,
        mpp=EFFICIENTNET_LITE0.mpp,
        training=facts,
        licence="Apache-2.0, derived from the weights of EfficientNet-Lite0",
    )


def figures_of(found: list[Comparison]) -> tuple[ProbeFigure, ...]:
    """Return the comparisons as figures of the encoder."""
    return tuple(
        ProbeFigure(
            f"area under the curve, {each.name}",
            each.before,
            each.after,
            each.gain["mean"],
            each.gain["low"],
            each.gain["high"],
            each.groups,
            "groups",
        )
        for each in found
    )


def line_of(found: Comparison) -> str:
    """Return a row of the table."""
    gain = "{mean:+.3f} ({low:+.3f} to {high:+.3f})".format(**found.gain)
    return (
        f"| {found.name} | {found.tested} in {found.groups} groups | {found.before:.3f} | "
        f"{found.after:.3f} | {gain} |"
    )


def report(page: Path, found: list[Comparison], epochs: int, minutes: float) -> None:
    """Write the table into the page."""
    verdict = (
        "It helps and harms nowhere that was looked at." if helps(found) else "It is not kept."
    )
    lines = [
        "| probe | tested | AUC, ImageNet weights | AUC, adapted | gain (95 % interval) |",
        "| --- | --- | --- | --- | --- |",
        *map(line_of, found),
        "",
        f"{epochs} epochs, {minutes:.0f} minutes of one core. {verdict}",
    ]
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    page.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
