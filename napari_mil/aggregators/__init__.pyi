from .aggregator import (
    Aggregator,
)
from .cards import (
    AggregatorCard,
    list_aggregators,
)
from .merge_tree import (
    MergeTree,
    single_linkage,
)
from .mining import (
    create_miner,
)
from .output import (
    BagOutput,
    PackedOutput,
)
from .published import (
    load_published_checkpoint,
    load_published_state,
)
from .registry import (
    create_aggregator,
)

__all__ = [
    "Aggregator",
    "AggregatorCard",
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
