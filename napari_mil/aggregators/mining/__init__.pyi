from .cards import (
    STRATEGIES,
    MaskRatios,
    StrategyCard,
)
from .masks import (
    mask_instances,
)
from .miner import (
    Miner,
    create_miner,
)

__all__ = [
    "STRATEGIES",
    "MaskRatios",
    "Miner",
    "StrategyCard",
    "create_miner",
    "mask_instances",
]
