"""Import FAISS for this package, or say how to install it, and convert its exceptions."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import MissingPackageError, RunError
from gluon_lifted.extras import install_command

try:
    faiss: Any = import_module("faiss")  # its type annotations are incomplete
except ModuleNotFoundError as error:
    if error.name != "faiss":
        raise
    raise MissingPackageError(
        f"faiss is not installed; indexes that are not exact need it: `{install_command('search')}`."
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterator

FAISS_ERRORS = (RuntimeError, AssertionError, ValueError, TypeError, MemoryError, OverflowError, IndexError)


@contextmanager
def faiss_errors(problem: str) -> Iterator[None]:
    """Convert exceptions of FAISS to `RunError`. The message starts with ``problem``."""
    try:
        yield
    except FAISS_ERRORS as error:
        raise RunError(f"{problem} ({' '.join(str(error).split())!s:.300}).") from None
