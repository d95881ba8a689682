"""Translators, one file per family of operators. Importing this package imports every file and registers them all."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
