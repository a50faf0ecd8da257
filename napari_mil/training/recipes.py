"""Training recipes of every method: published, and by default.

`PUBLISHED` holds the values of each method's paper or code. Several of them do not learn on the
few bags that a first cohort has, as `docs/learning.md` shows; `DEFAULTS` holds what does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from napari_mil.aggregators.cards import AGGREGATORS
from napari_mil.networks.cards import BACKBONES

Optimiser = Literal["adam", "adamw", "radam", "lookahead-radam", "sgd"]
Schedule = Literal["constant", "cosine", "steps", "inverse"]
Strategy = Literal["plain", "ham", "l-ham", "r-ham", "lr-ham"]
RecipeKind = Literal["default", "published"]
STAGES = ("teacher", "mining")
"""Names of the stages of masked mining that starts with a trained teacher."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train."""

    source: str
    """Publication and its values, and which values are chosen here."""
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    """Betas of Adam; SGD takes the first as Nesterov momentum."""
    schedule: Schedule = "constant"
    step_factor: float = 0.1
    """Factor of the learning rate in the second half, under ``steps``."""
    epochs: int = 100
    bags_per_step: int = 1
    patience: int = 20
    """Epochs without improvement on the validation bags before training stops."""
    earliest_stop: int = 0
    """Epochs that are trained in any case."""
    clip: float | None = None
    """Largest norm of the gradient."""
    warm_up: int = 0
    """First epochs in which every instance also learns the label of its bag."""
    decays_biases: bool = True
    """Whether biases and other one-dimensional weights decay too."""
    clipped_apart: tuple[tuple[str, ...], ...] = ()
    """Parts of the network whose gradients are clipped each by itself.

    Each part is given by the names of its modules.
    """
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the aggregator."""


ATTENTION = Recipe(
    "Ilse et al. 2018, MNIST-bags: Adam 5e-4, decay 1e-4; epochs and patience chosen here",
    learning_rate=5e-4,
)
MI_NET = Recipe(
    "Wang et al. 2018: SGD with Nesterov momentum 0.9, 5e-4 / (1 + 1e-4 t), "
    "L2 .005 of kernels (twice that as a decay), 50 epochs",
    "sgd",
    5e-4,
    0.01,
    schedule="inverse",
    epochs=50,
    decays_biases=False,
)
IMAGES = Recipe(
    "Tu et al. 2021 (HAMIL): Adam 1e-4, 8 bags a step; epochs chosen here",
    learning_rate=1e-4,
    weight_decay=0.0,
    bags_per_step=8,
)
CLAM = Recipe(
    "Lu et al. 2021: Adam 1e-4, decay 1e-5, dropout .25, stop after 20 epochs from the 50th on",
    weight_decay=1e-5,
    epochs=200,
    earliest_stop=50,
)
MINING_SMALL = Recipe(
    "Tang et al. 2023, CAMELYON16: Adam 2e-4, decay 1e-5, cosine to 0, up to 200 epochs, "
    "stop after 30 from the 130th on",
    learning_rate=2e-4,
    weight_decay=1e-5,
    schedule="cosine",
    epochs=200,
    patience=30,
    earliest_stop=130,
)
MINING_LARGE = replace(
    MINING_SMALL,
    source="Tang et al. 2023, TCGA: Adam 2e-4, decay 1e-5, cosine to 0, up to 200 epochs, "
    "stop after 20 from the 70th on",
    patience=20,
    earliest_stop=70,
)
"""Recipe of mining with all three masks.

Its ratios are published for TCGA, those of the other strategies for CAMELYON16.
"""

PUBLISHED: dict[str, Recipe] = {
    **dict.fromkeys(
        (
            "instance-max",
            "instance-mean",
            "embedding-max",
            "embedding-mean",
            "abmil",
            "gated-abmil",
            "gnn-mil",
        ),
        ATTENTION,
    ),
    **dict.fromkeys(("mi-net-instance", "mi-net", "mi-net-ds", "mi-net-rc"), MI_NET),
    "sa-abmil": Recipe(
        "Rymarczyk et al. 2021: Adam 1e-4, decay 5e-3, up to 200 epochs, stop after 25",
        weight_decay=5e-3,
        epochs=200,
        patience=25,
    ),
    "dsmil": Recipe(
        "Dual-stream maximum self-attention MIL: Adam 1e-4, a tenth from the middle on, 60 epochs",
        weight_decay=0.0,
        schedule="steps",
        epochs=60,
    ),
    "dsmil-released": Recipe(
        "Li et al. 2021 (dsmil-wsi, classical script): Adam 2e-4 (.5, .9), decay 5e-3, "
        "cosine to 0, 40 epochs",
        learning_rate=2e-4,
        weight_decay=5e-3,
        betas=(0.5, 0.9),
        schedule="cosine",
        epochs=40,
    ),
    **dict.fromkeys(
        ("hamil", "hamil-mean", "ramil", "mvcnn", "spoc", "nan", "deepmiml", "single-instance"),
        IMAGES,
    ),
    "clam-sb": CLAM,
    "clam-mb": CLAM,
    "transmil": Recipe(
        "Shao et al. 2021: Lookahead over RAdam 2e-4, decay 1e-5 (no biases), 200 epochs, "
        "stop after 10, 2 bags a step",
        "lookahead-radam",
        2e-4,
        1e-5,
        epochs=200,
        bags_per_step=2,
        patience=10,
        decays_biases=False,
    ),
    "dtfd": Recipe(
        "Zhang et al. 2022: Adam 1e-4, decay 1e-4, a fifth from the middle on, clip 5 "
        "(projection, attention, classifier, second tier: each by itself)",
        schedule="steps",
        step_factor=0.2,
        epochs=200,
        clip=5.0,
        clipped_apart=(
            ("projection",),
            ("attention1",),
            ("classifier1",),
            ("attention2", "classifier2"),
        ),
    ),
}


PROJECTED = {"hidden": 256, "dropout": 0.5}
"""Options of a projection that few bags do not overfit."""
MERGED = {"dims": [256, 64], "dropout": 0.5}
"""Options of layers before merges along the tree of a bag."""
TOKENS = {"hidden": 128, "dropout": 0.5, "order": "random"}
"""Options of a transformer whose instances have no order to be learnt by heart."""
UNIT = {"starts_as_mean": True, "frozen_norm": True}
"""Options of a unit that begins as a plain average and normalises by no single pair."""
NETWORK_RATE = 2e-4
"""Largest default step where a network learns from images too; at 1e-3 its units die."""
WARM_UP = 10
"""Epochs of the warm-up of methods that score instances; without it, seeds differ in luck."""


def _few_bags(
    learning_rate: float = 1e-3,
    options: Mapping[str, Any] = PROJECTED,
    warm_up: int = 0,
    epochs: int = 60,
    earliest_stop: int = 30,
) -> Recipe:
    """Return a recipe that learns on a hundred bags.

    Dropout and decoupled decay keep few bags from being learnt by heart. Attention needs the
    smaller rates to find 5 instances in 500 too; the larger one leaves wrong instances that a
    maximum first settles on.
    """
    shared = f"; in the first {warm_up} epochs every instance learns the label of its bag"
    return Recipe(
        f"chosen here (docs/learning.md): AdamW {learning_rate:g}, "
        f"decoupled decay .01, cosine to 0, {epochs} epochs{shared if warm_up else ''}",
        "adamw",
        learning_rate,
        0.01,
        schedule="cosine",
        epochs=epochs,
        patience=20,
        earliest_stop=earliest_stop,
        warm_up=warm_up,
        options=options,
    )


ATTENDING = _few_bags(2e-4)
DEFAULTS: dict[str, Recipe] = {
    **PUBLISHED,
    **dict.fromkeys(("embedding-max", "embedding-mean", "mvcnn", "spoc"), _few_bags()),
    **dict.fromkeys(("abmil", "gated-abmil"), ATTENDING),
    **dict.fromkeys(("instance-max", "deepmiml", "dsmil-released"), _few_bags(warm_up=WARM_UP)),
    "instance-mean": _few_bags(2e-4, warm_up=WARM_UP),
    "dsmil": _few_bags(2e-4, {**PROJECTED, "stream_losses": True}, WARM_UP),
    "mi-net-instance": _few_bags(options={}, warm_up=WARM_UP),
    "nan": _few_bags(options={**PROJECTED, "unit_vectors": True}),
    **dict.fromkeys(("hamil", "ramil"), _few_bags(options={**MERGED, **UNIT}, warm_up=WARM_UP)),
    "hamil-mean": _few_bags(options=MERGED, warm_up=WARM_UP),
    "gnn-mil": _few_bags(5e-4, {"dropout": 0.5, "averages": True}),
    "transmil": _few_bags(5e-4, TOKENS),
}
"""Recipe of each method unless the published one is asked for.

Those that learn as published keep it.
"""
BESIDE_NETWORKS: dict[str, Recipe] = {
    # MI-Nets are three layers deeper: by SGD, or by the whole step, some draws do not learn.
    **{
        name: _few_bags(NETWORK_RATE / 2, DEFAULTS[name].options)
        for name in ("mi-net", "mi-net-ds", "mi-net-rc")
    },
    # The class token teaches a network little until it tells images apart.
    "transmil": _few_bags(NETWORK_RATE, TOKENS, warm_up=30, epochs=100, earliest_stop=80),
}
"""Default of the methods that a smaller step alone does not help beside a network that learns."""
MINING_FEW = replace(
    ATTENDING,
    source=f"{ATTENDING.source}; masks and losses as published, Tang et al. 2023",
)


def recipe_of(
    aggregator: str, strategy: str, kind: RecipeKind = "default", encoder: str | None = None
) -> Recipe:
    """Return the recipe of a method.

    Masked mining has its own, whatever aggregator it is used with; the options are those of the
    aggregator.

    Parameters
    ----------
    aggregator, strategy
        Names of the method.
    kind
        The published recipe or the default. On feature maps it is always the published one:
        defaults were chosen on bags of vectors.
    encoder
        Name of the encoder, or of a network that learns too and takes a smaller step by default.
    """
    if has_maps_for(aggregator, encoder):
        kind = "published"
    if kind == "published":
        recipe = PUBLISHED[aggregator]
        mined = MINING_LARGE if strategy == "lr-ham" else MINING_SMALL
    else:
        recipe = _default_of(aggregator, encoder in BACKBONES)
        mined = MINING_FEW
    return recipe if strategy == "plain" else replace(mined, options=recipe.options)


def _default_of(aggregator: str, beside_network: bool) -> Recipe:
    """Return the default of an aggregator, alone or beside a network that learns from images."""
    recipe = DEFAULTS[aggregator]
    if not beside_network:
        return recipe
    if aggregator in BESIDE_NETWORKS:
        return BESIDE_NETWORKS[aggregator]
    if recipe.learning_rate <= NETWORK_RATE:
        return recipe
    return replace(
        recipe,
        source=f"{recipe.source}; beside a network that learns too, {NETWORK_RATE:g}",
        learning_rate=NETWORK_RATE,
    )


def has_maps_for(aggregator: str, encoder: str | None) -> bool:
    """Say whether an encoder gives an aggregator feature maps instead of vectors."""
    if encoder not in BACKBONES:
        return False
    return BACKBONES[encoder].has_maps and AGGREGATORS[aggregator].works_on_maps
