"""Losses: embedding (B, D) and label (B,) -> loss (1,). All hybridize, in float32 and float64."""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when they are first used: the declarations do not need MXNet.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
