"""Train Gluon embedding models with the lifted structured loss; data sets, preprocessing and retrieval metrics."""

import lazy_loader

__version__ = "0.1.0"

# Public names, listed in __init__.pyi, are imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
