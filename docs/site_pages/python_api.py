"""The reference of the Python API: every public name, with its docstring."""

import importlib
import inspect

PACKAGES = ("gluon_lifted", "export", "serve_cli")


def api_reference():
    """Write a section for each package, with its public names in alphabetical order."""
    return "\n".join(_package(importlib.import_module(name)) for name in PACKAGES)


def _package(package):
    names = sorted((name for name in package.__all__ if not name.startswith("__")), key=str.lower)
    entries = "\n\n".join(_entry(package, name) for name in names)
    return f"## `{package.__name__}`\n\n{inspect.getdoc(package)}\n\n```{{eval-rst}}\n{entries}\n```\n"


def _entry(package, name):
    path = f"{package.__name__}.{name}"
    value = getattr(package, name)
    if inspect.isclass(value):
        return f".. autoclass:: {path}\n   :members:"
    return f".. autofunction:: {path}" if callable(value) else f".. autodata:: {path}"
