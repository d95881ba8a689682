"""Names that the packages share: files of a run folder, inputs and outputs of the ONNX model, the key of the card.

Training writes the files, `export` reads them and writes the model, `serve_cli` reads the model.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Files of a run folder
SYMBOL_FILE, PARAMS_FILE = "model-symbol.json", "model-0000.params"
CARD_FILE, REFERENCE_FILE = "card.json", "reference.npz"
RUN_FILES = (SYMBOL_FILE, PARAMS_FILE, CARD_FILE, REFERENCE_FILE)
START_FILE = "start.json"  # recall before training, classes that were trained on, images that were measured
MAX_START_BYTES = 1 << 26  # of start.json; it has one for each image and embedding
MAX_REFERENCE_BYTES = 2**30  # of reference.npz; 32 images of 227 px and every tensor of GoogLeNet for one: 70 MB
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
    output : str, optional
        Node to cut the network at, such as ``"fc1"`` before a margin loss. None: all outputs of the file.
    """

    symbol: Path
    params: Path
    output: str | None = None


def distinct(names: Iterable[str]) -> list[str]:
    """Append a number to repeated names, since one tensor may be several outputs of a network."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return numbered
