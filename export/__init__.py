"""Export MXNet networks to ONNX without MXNet: read, translate, optimize, verify, write."""

import lazy_loader

# Public names, listed in __init__.pyi, are imported when they are first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
