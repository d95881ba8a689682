"""Data sets: read files into `ImageTable`s, split into training classes and classes never seen in training."""

import lazy_loader

# Public names, listed in __init__.pyi, are imported on first use: the declarations need no numpy.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
