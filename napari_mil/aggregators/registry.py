"""Aggregators by name; adding one is a class and a line here."""

from __future__ import annotations

from typing import Any

from napari_mil.aggregators.abmil import ABMIL, GatedABMIL
from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.clam import CLAMMultiBranch, CLAMSingleBranch
from napari_mil.aggregators.deepmiml import DeepMIML
from napari_mil.aggregators.dsmil import DSMIL, DSMILReleased
from napari_mil.aggregators.dtfd import DTFD
from napari_mil.aggregators.gnn_mil import GNNMIL
from napari_mil.aggregators.hamil import HAMIL, RAMIL, HAMILMean
from napari_mil.aggregators.mi_net import MINet, MINetDS, MiNetInstance, MINetRC
from napari_mil.aggregators.mvcnn import MVCNN
from napari_mil.aggregators.nan import NAN
from napari_mil.aggregators.options import check_options
from napari_mil.aggregators.pooling import EmbeddingMax, EmbeddingMean, InstanceMax, InstanceMean
from napari_mil.aggregators.sa_abmil import SelfAttentionABMIL
from napari_mil.aggregators.single_instance import SingleInstance
from napari_mil.aggregators.spoc import SPoC
from napari_mil.aggregators.transmil import TransMIL
from napari_mil.errors import OptionError, UnknownNameError

AGGREGATORS: dict[str, type[Aggregator]] = {
    "instance-max": InstanceMax,
    "instance-mean": InstanceMean,
    "embedding-max": EmbeddingMax,
    "embedding-mean": EmbeddingMean,
    "mi-net-instance": MiNetInstance,
    "mi-net": MINet,
    "mi-net-ds": MINetDS,
    "mi-net-rc": MINetRC,
    "abmil": ABMIL,
    "gated-abmil": GatedABMIL,
    "sa-abmil": SelfAttentionABMIL,
    "dsmil": DSMIL,
    "dsmil-released": DSMILReleased,
    "hamil": HAMIL,
    "hamil-mean": HAMILMean,
    "ramil": RAMIL,
    "mvcnn": MVCNN,
    "spoc": SPoC,
    "nan": NAN,
    "deepmiml": DeepMIML,
    "single-instance": SingleInstance,
    "gnn-mil": GNNMIL,
    "clam-sb": CLAMSingleBranch,
    "clam-mb": CLAMMultiBranch,
    "transmil": TransMIL,
    "dtfd": DTFD,
}


def list_aggregators() -> dict[str, str]:
    """Return one line about every aggregator by name."""
    return {
        name: (aggregator.__doc__ or "").splitlines()[0] for name, aggregator in AGGREGATORS.items()
    }


def create_aggregator(name: str, in_dim: int, n_classes: int, **options: Any) -> Aggregator:
    """Make an aggregator with fresh weights.

    Parameters
    ----------
    name
        One of `list_aggregators()`.
    in_dim
        D, the length of an instance's feature vector, or the channels of its map.
    n_classes
        C; 1 is one sigmoid unit.
    **options
        As the class of that name documents them; `multi_label=True` makes C >= 2 classes independent, `spatial_dims=2` takes maps.

    Raises
    ------
    UnknownNameError
        If there is no such aggregator.
    OptionError
        If it has no such option, or not with this value.
    """
    if name not in AGGREGATORS:
        raise UnknownNameError(
            f"There is no aggregator named {name!r}; choose one of {', '.join(AGGREGATORS)}."
        )
    check_options(f"The aggregator {name}", AGGREGATORS[name], options)
    try:
        return AGGREGATORS[name](in_dim, n_classes, **options)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"The aggregator {name} does not take these options ({error}); see its documentation."
        ) from error
