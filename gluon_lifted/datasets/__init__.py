"""Data sets: files on disk -> `ImageTable`s, split into classes to train on and classes never seen in training."""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when they are first used: the declarations need no numpy.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
