"""Turn MXNet's errors about a saved network into sentences."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluon_lifted.contract import SavedNetwork


@contextmanager
def explained(network: SavedNetwork) -> Iterator[None]:
    """Raise `DataError` if MXNet cannot load or run the network within the ``with`` block."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines() or [repr(error)]
        raise DataError(
            f"{network.symbol}: MXNet cannot run this network ({reason[-1].strip():.200}). Check --shape, --dtype, "
            "--output and that the two files belong together."
        ) from None
