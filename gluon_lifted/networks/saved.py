"""The two files in which MXNet keeps a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SavedNetwork:
    """A network as MXNet saved it, trained anywhere: ``HybridBlock.export``, ``Module.save_checkpoint``.

    Parameters
    ----------
    symbol, params : Path
        The ``-symbol.json`` and the ``.params`` file.
    input_name : str
        The variable that stands for the images.
    """

    symbol: Path
    params: Path
    input_name: str = "data"
