"""What the window knows of masked mining before torch is loaded; a test compares it with the miner."""

STRATEGIES = {
    "ham": ("high",),
    "l-ham": ("high", "low"),
    "r-ham": ("high", "random"),
    "lr-ham": ("high", "low", "random"),
}
"""Kinds of masked instances by strategy."""
STRATEGY_TEXTS = (
    ("ham", "HAM: high"),
    ("l-ham", "L-HAM: high and low"),
    ("r-ham", "R-HAM: high and random"),
    ("lr-ham", "LR-HAM: all three"),
)
"""(strategy, what a box says of it)."""
MINED = ("abmil", "gated-abmil", "dsmil", "dsmil-released", "transmil")
"""Aggregators that mining is made for."""
TWO_STREAMS = ("dsmil", "dsmil-released")
"""Aggregators whose streams can learn in turns; not under a strategy."""
