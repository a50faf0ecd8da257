"""Cards of the aggregators, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass

ROOM = "napari_mil.aggregators"
"""Package that holds the modules of aggregators."""


@dataclass(frozen=True, slots=True)
class AggregatorCard:
    """Description of an aggregator for choosing one."""

    name: str
    """Name in `create_aggregator`."""
    title: str
    """What it computes, in words."""
    source: str
    """Paper that defines it."""
    implementation: str
    """Dotted path of its class, ``module:class``."""
    works_on_maps: bool = False
    """Whether it takes feature maps whole.

    The others average maps over space first.
    """
    can_be_mined: bool = False
    """Whether it ranks instances and masked mining can wrap it."""
    two_streams: bool = False
    """Whether its instance and bag streams can be trained in turns."""
    merges_instances: bool = False
    """Whether it merges along the single-linkage tree of the bag."""
    branch_of_each_class: bool = False
    """Whether each class has a part of its own, so that two classes need two outputs."""


def _card(
    name: str,
    implementation: str,
    title: str,
    source: str,
    *,
    works_on_maps: bool = False,
    can_be_mined: bool = False,
    two_streams: bool = False,
    merges_instances: bool = False,
    branch_of_each_class: bool = False,
) -> AggregatorCard:
    """Make a card; `implementation` is ``module:class`` in this room."""
    return AggregatorCard(
        name,
        title,
        source,
        f"{ROOM}.{implementation}",
        works_on_maps,
        can_be_mined,
        two_streams,
        merges_instances,
        branch_of_each_class,
    )


_CARDS = (
    _card(
        "instance-max",
        "pooling:InstanceMax",
        "Largest of the instance probabilities",
        'Ilse et al. 2018, "instance + max"',
    ),
    _card(
        "instance-mean",
        "pooling:InstanceMean",
        "Mean of the instance probabilities",
        'Ilse et al. 2018, "instance + mean"',
    ),
    _card(
        "embedding-max",
        "pooling:EmbeddingMax",
        "Classifier on the element-wise maximum of the embeddings",
        'Ilse et al. 2018, "embedding + max"',
    ),
    _card(
        "embedding-mean",
        "pooling:EmbeddingMean",
        "Classifier on the mean of the embeddings",
        'Ilse et al. 2018, "embedding + mean"',
    ),
    _card(
        "mi-net-instance",
        "mi_net:MiNetInstance",
        "mi-Net: pooled instance probabilities",
        "Wang et al. 2018, section 3.1",
    ),
    _card("mi-net", "mi_net:MINet", "MI-Net: pooled features", "Wang et al. 2018, section 3.2"),
    _card(
        "mi-net-ds",
        "mi_net:MINetDS",
        "MI-Net with deep supervision",
        "Wang et al. 2018, section 3.3",
    ),
    _card(
        "mi-net-rc",
        "mi_net:MINetRC",
        "MI-Net with residual connections",
        "Wang et al. 2018, section 3.4",
    ),
    _card(
        "abmil",
        "abmil:ABMIL",
        "Attention MIL",
        "Ilse et al. 2018, eq. 7 and 8",
        can_be_mined=True,
    ),
    _card(
        "gated-abmil",
        "abmil:GatedABMIL",
        "Gated attention MIL",
        "Ilse et al. 2018, eq. 7 and 9",
        can_be_mined=True,
    ),
    _card(
        "sa-abmil",
        "sa_abmil:SelfAttentionABMIL",
        "Kernel self-attention, then attention MIL",
        "Rymarczyk et al. 2021",
    ),
    _card(
        "dsmil",
        "dsmil:DSMIL",
        "Dual-stream MIL as printed",
        "dual-stream maximum self-attention MIL, eq. 3-8",
        can_be_mined=True,
        two_streams=True,
    ),
    _card(
        "dsmil-released",
        "dsmil:DSMILReleased",
        "Dual-stream MIL as its released code computes it",
        "Li et al. 2021 (dsmil-wsi)",
        can_be_mined=True,
        two_streams=True,
    ),
    _card(
        "hamil",
        "hamil:HAMIL",
        "Convolutional merges along the tree of the bag",
        "Tu et al. 2021, algorithm 1",
        works_on_maps=True,
        merges_instances=True,
    ),
    _card(
        "hamil-mean",
        "hamil:HAMILMean",
        "HAMIL-A: averages along the tree of the bag",
        "Tu et al. 2021",
        works_on_maps=True,
        merges_instances=True,
    ),
    _card(
        "ramil",
        "hamil:RAMIL",
        "Convolutional merges in random order",
        "Tu et al. 2021",
        works_on_maps=True,
    ),
    _card("mvcnn", "mvcnn:MVCNN", "View pooling", "Su et al. 2015", works_on_maps=True),
    _card(
        "spoc",
        "spoc:SPoC",
        "Sum pooling with a centring prior",
        "Babenko & Lempitsky 2015",
        works_on_maps=True,
    ),
    _card(
        "nan", "nan:NAN", "Two cascaded attention blocks", "Yang et al. 2017", works_on_maps=True
    ),
    _card(
        "deepmiml",
        "deepmiml:DeepMIML",
        "Best sub-concept of the best instance, for each label",
        "Feng & Zhou 2017",
    ),
    _card(
        "single-instance",
        "single_instance:SingleInstance",
        "Classifier of instances trained on the label of the bag",
        "baseline of Tu et al. 2021",
    ),
    _card(
        "gnn-mil",
        "gnn_mil:GNNMIL",
        "Graph network with differentiable pooling",
        "Tu et al. 2019",
    ),
    _card(
        "clam-sb",
        "clam:CLAMSingleBranch",
        "CLAM with one attention branch",
        "Lu et al. 2021",
    ),
    _card(
        "clam-mb",
        "clam:CLAMMultiBranch",
        "CLAM with one attention branch per class",
        "Lu et al. 2021",
        branch_of_each_class=True,
    ),
    _card(
        "transmil",
        "transmil:TransMIL",
        "Two Nyström layers around a position encoding",
        "Shao et al. 2021",
        can_be_mined=True,
    ),
    _card(
        "dtfd",
        "dtfd:DTFD",
        "Attention within pseudo-bags, then over what each distils",
        "Zhang et al. 2022",
    ),
)

AGGREGATORS: dict[str, AggregatorCard] = {card.name: card for card in _CARDS}
"""Cards by name; adding an aggregator takes a class and a card."""


def list_aggregators() -> dict[str, AggregatorCard]:
    """Return the card of every aggregator by name."""
    return dict(AGGREGATORS)


def names_that_can_be_mined() -> tuple[str, ...]:
    """Return the names of aggregators that masked mining can wrap."""
    return tuple(name for name, card in AGGREGATORS.items() if card.can_be_mined)
