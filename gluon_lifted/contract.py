"""Names that the packages share: files of a run folder, inputs and outputs of the ONNX model, the key of the card.

Training writes the files, `export` reads them and writes the model, `serve_cli` reads the model.
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
# Inputs and outputs of the ONNX model
IMAGE_INPUT = "data"  # float32 (N, 3, H, W), normalized; Gluon's name
PIXEL_INPUT = "images"  # uint8 (N, H, W, 3) RGB; the model normalizes them itself
EMBEDDING_OUTPUT = "embedding"  # (N, D)
CARD_KEY = "lifted.card"  # in ONNX metadata_props and in parquet's schema metadata


@dataclass(frozen=True)
class SavedNetwork:
    """A network saved by MXNet's ``HybridBlock.export`` or ``Module.save_checkpoint``, trained by any program.

    Parameters
    ----------
    symbol, params : Path
        Paths of the ``-symbol.json`` and the ``.params`` file.
    input_name : str
        Name of the input variable for the images.
    output : str, optional
        Node to cut the network at, such as ``"fc1"`` before a margin loss. None: all outputs of the file.
    """

    symbol: Path
    params: Path
    input_name: str = IMAGE_INPUT
    output: str | None = None
