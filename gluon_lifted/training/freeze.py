"""Freeze a trained network into the four files that `export` reads."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.contract import (
    CARD_FILE,
    EMBEDDING_OUTPUT,
    IMAGE_INPUT,
    PARAMS_FILE,
    REFERENCE_FILE,
    SYMBOL_FILE,
    SavedNetwork,
)
from gluon_lifted.errors import RunError
from gluon_lifted.files import sync, write_npz
from gluon_lifted.mx import mx, nd
from gluon_lifted.networks.reference import node_outputs
from gluon_lifted.params_file import parse_params

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard

# Operators whose outputs the reference records: enough to locate an error of a translation, but not much data.
REFERENCE_OPS = {"Concat", "FullyConnected", "LRN", "Pooling"}


def freeze(net: Any, run: Path, card: ModelCard, images: NDArray[np.float32]) -> None:
    """Write symbol, params, reference and card into ``run``. The card is last: it marks the others as complete.

    Parameters
    ----------
    net : HybridBlock
        Initialized, with one input and one output.
    images : ndarray, float32, (n, 3, H, W)
        Inputs of the reference. The exported model must reproduce their embeddings.

    Raises
    ------
    RunError
        If the embeddings are not finite, or MXNet wrote other parameters than the network has. Nothing is written.
    OSError
        If the folder cannot be written, for example on a full disk.
    """
    net.collect_params().reset_ctx(mx.cpu())
    net.hybridize(static_alloc=True, static_shape=True)
    embedding = net(nd.array(images)).asnumpy()  # (n, D)
    if not np.isfinite(embedding).all():
        raise RunError(f"{run}: the network's embeddings are not finite; train again with a lower learning rate.")
    with tempfile.TemporaryDirectory(dir=run, prefix=".freeze-") as name:
        folder = Path(name)
        nd.waitall()  # MXNet 1.9.1 may save weights that an operator still rearranges in the background
        try:
            net.export(str(folder / "model"))
        except mx.MXNetError as error:  # MXNet's only error for files
            raise OSError(f"MXNet: {str(error).strip().splitlines()[-1]:.200}") from None
        _require_same(net, folder / PARAMS_FILE)
        network = SavedNetwork(folder / SYMBOL_FILE, folder / PARAMS_FILE)
        nodes = node_outputs(network, {IMAGE_INPUT: images[:1]}, REFERENCE_OPS)
        with (folder / REFERENCE_FILE).open("wb") as reference:
            write_npz(reference, {IMAGE_INPUT: images, EMBEDDING_OUTPUT: embedding} | nodes)
        hashes = {
            f"{kind} sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()
            for kind, file in (("symbol", SYMBOL_FILE), ("params", PARAMS_FILE))
        }
        (folder / CARD_FILE).write_text(replace(card, provenance=card.provenance | hashes).to_json())
        for file in (SYMBOL_FILE, PARAMS_FILE, REFERENCE_FILE, CARD_FILE):
            sync(folder / file)
            (folder / file).replace(run / file)
    sync(run)


def _require_same(net: Any, path: Path) -> None:
    """Read the written parameters back and compare them with the network's, bit for bit."""
    held = {name: parameter.data().asnumpy() for name, parameter in net.collect_params().items()}
    for key, array in parse_params(memoryview(path.read_bytes()), str(path)).items():
        expected = held[key.removeprefix("arg:").removeprefix("aux:")]
        same_kind = (array.dtype, array.shape) == (expected.dtype, expected.shape)
        if not same_kind or array.tobytes() != expected.tobytes():
            raise RunError(
                f"{path.parent.parent}: MXNet wrote other numbers for {key[4:]!r} than the network has. Repeat "
                "`lifted train` with --resume to write the files again."
            )
