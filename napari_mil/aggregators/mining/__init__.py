"""Masked hard-instance mining: a strategy around an aggregator (Tang et al. 2023, MHIM-MIL, ICCV)."""

from napari_mil.aggregators.mining.masks import MaskRatios, mask_instances
from napari_mil.aggregators.mining.miner import STRATEGIES, Miner, create_miner

__all__ = ["STRATEGIES", "MaskRatios", "Miner", "create_miner", "mask_instances"]
