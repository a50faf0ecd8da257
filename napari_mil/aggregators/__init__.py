"""Bag -> BagOutput: one file per family, equations beside the code (torch only; knows no slide)."""

from napari_mil.aggregators.aggregator import Aggregator
from napari_mil.aggregators.output import BagOutput
from napari_mil.aggregators.registry import create_aggregator, list_aggregators

__all__ = ["Aggregator", "BagOutput", "create_aggregator", "list_aggregators"]
