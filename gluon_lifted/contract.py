"""Names that the packages share: files of a run folder, values of the ONNX model, the key of the card.

Training writes these files, `export` reads them and names the values of its model, `serve_cli` reads the model. Each
name stands here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Files of a run folder
SYMBOL_FILE, PARAMS_FILE = "model-symbol.json", "model-0000.params"
CARD_FILE, REFERENCE_FILE = "card.json", "reference.npz"
RUN_FILES = (SYMBOL_FILE, PARAMS_FILE, CARD_FILE, REFERENCE_FILE)
# Values of the model
IMAGE_INPUT = "data"  # float32 (N, 3, H, W), normalized; Gluon's name
PIXEL_INPUT = "images"  # uint8 (N, H, W, 3) RGB, of a model that normalizes them itself
EMBEDDING_OUTPUT = "embedding"  # (N, D)
CARD_KEY = "lifted.card"  # in ONNX metadata_props and in parquet's schema metadata


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
    input_name: str = IMAGE_INPUT
