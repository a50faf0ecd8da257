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
    "MaskRatios",
    "Miner",
    "STRATEGIES",
    "StrategyCard",
    "create_miner",
    "mask_instances",
]
