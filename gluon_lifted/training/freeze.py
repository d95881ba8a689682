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
from gluon_lifted.networks.reference import network_outputs, node_outputs
from gluon_lifted.params_file import parse_params
from gluon_lifted.training.precision import FLOAT32, TOLERANCE, as_float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard

# Operators whose outputs the reference records: enough to locate an error of a translation, but not much data.
REFERENCE_OPS = {"Concat", "FullyConnected", "LRN", "Pooling"}


def freeze(net: Any, run: Path, card: ModelCard, images: NDArray[np.float32], dtype: str = FLOAT32) -> None:
    """Write symbol, params, reference and card into ``run``. The card is last: it marks the others as complete.

    The files compute in float32, on any CPU, regardless of the type used in training: MXNet keeps weights in float32
    and leaves out the casts of mixed precision. The reference is what the files compute.

    Parameters
    ----------
    net : HybridBlock
        Initialized, with one input and one output.
    images : ndarray, float32, (n, 3, H, W)
        Inputs of the reference. The exported model must reproduce their embeddings.
    dtype : str
        Type that the network computes in, a key of `TOLERANCE`.

    Raises
    ------
    RunError
        If the embeddings are not finite, if MXNet wrote other parameters than the network has, or if the files
        compute other embeddings than the network. Nothing is written.
    OSError
        If the folder cannot be written, for example on a full disk.
    """
    device = next(iter(net.collect_params().values())).list_ctx()[0]
    net.hybridize(static_alloc=True, static_shape=True)
    trained = as_float32(net(nd.array(images, ctx=device))).asnumpy()  # (n, D)
    if not np.isfinite(trained).all():
        raise RunError(
            f"{run}: the trained network's embeddings contain NaN or infinity. Train again with a lower "
            "--learning-rate."
        )
    with tempfile.TemporaryDirectory(dir=run, prefix=".freeze-") as name:
        folder = Path(name)
        nd.waitall()  # MXNet 1.9.1 may save weights that an operator still rearranges in the background
        try:
            net.export(str(folder / "model"))
        except mx.MXNetError as error:  # MXNet's only error for files
            raise OSError(f"MXNet: {str(error).strip().splitlines()[-1]:.200}") from None
        _require_same(net, folder / PARAMS_FILE)
        network = SavedNetwork(folder / SYMBOL_FILE, folder / PARAMS_FILE)
        (embedding,) = network_outputs(network, {IMAGE_INPUT: images}).values()
        _require_close(embedding, trained, run, TOLERANCE[dtype])
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
    held = {name: parameter._reduce().asnumpy() for name, parameter in net.collect_params().items()}
    for key, array in parse_params(memoryview(path.read_bytes()), str(path)).items():
        expected = held[key.removeprefix("arg:").removeprefix("aux:")]
        same_kind = (array.dtype, array.shape) == (expected.dtype, expected.shape)
        if not same_kind or array.tobytes() != expected.tobytes():
            raise RunError(
                f"{path.parent.parent}: the file that MXNet wrote differs from the trained network in {key[4:]!r}. To "
                "write the files again, repeat `lifted train` with --resume."
            )


def _require_close(frozen: NDArray[np.float32], trained: NDArray[np.float32], run: Path, tolerance: float) -> None:
    difference = float(np.linalg.norm(frozen - trained))
    if not difference <= tolerance * float(np.linalg.norm(trained)):
        raise RunError(
            f"{run}: the embeddings of the saved network differ from those of the trained network by {difference:.3g} "
            f"(Frobenius norm); expected at most {tolerance:g} of {np.linalg.norm(trained):.3g}. To write the files "
            "again, repeat `lifted train` with --resume."
        )
