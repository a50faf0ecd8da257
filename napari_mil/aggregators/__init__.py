"""Bag -> BagOutput: one file per family, equations beside the code (torch only; knows no slide)."""

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.merge_tree import MergeTree, single_linkage
from napari_mil.aggregators.mining import create_miner
from napari_mil.aggregators.output import BagOutput, PackedOutput
from napari_mil.aggregators.published import load_published_checkpoint, load_published_state
from napari_mil.aggregators.registry import create_aggregator, list_aggregators

__all__ = [
    "Aggregator",
    "BagOutput",
    "MergeTree",
    "PackedOutput",
    "create_aggregator",
    "create_miner",
    "list_aggregators",
    "load_published_checkpoint",
    "load_published_state",
    "single_linkage",
]
