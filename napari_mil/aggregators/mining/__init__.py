"""Masked hard-instance mining: a strategy around an aggregator (Tang et al. 2023, MHIM-MIL)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
