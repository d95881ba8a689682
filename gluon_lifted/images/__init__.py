"""Decode and preprocess images, in the same way for training, freezing, serving and evaluation."""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when they are first used: declarations need no Pillow.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
