"""Write the parameters of a network for other frameworks, under torchvision's or timm's names if they have it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError
from export.reader.limits import map_file, read_limited
from export.reader.params import parse_params
from export.reader.run_folder import read_run
from export.reader.symbol import MAX_SYMBOL_BYTES, Symbol, parse_symbol
from export.safetensors_file import write_safetensors
from export.translate import PARAMETER_ENDINGS
from gluon_lifted.contract import CARD_KEY, SYMBOL_FILE, SavedNetwork
from gluon_lifted.twins.batch_norm import to_twin
from gluon_lifted.twins.names import twin_name
from gluon_lifted.twins.twin_networks import TWINS

if TYPE_CHECKING:
    import os

Arrays = Mapping[str, NDArray[Any]]
MXNET = "MXNet"
MEAN = ".running_mean"  # of batch norm; PyTorch also counts batches


@dataclass(frozen=True)
class WeightsReport:
    """Facts about a file of weights.

    Parameters
    ----------
    path : Path
        The file.
    names : str
        Naming scheme of the arrays: ``"MXNet"``, or its first twin such as ``"torchvision resnet50"``.
    num_tensors, num_parameters : int
        Number of arrays, and of trained or measured values in them.
    size_bytes : int
        Size of the file.
    """

    path: Path
    names: str
    num_tensors: int
    num_parameters: int
    size_bytes: int


def export_weights(source: str | os.PathLike[str] | SavedNetwork, path: str | os.PathLike[str]) -> WeightsReport:
    """Write the trained parameters of a network to a ``.safetensors`` file.

    Parameters
    ----------
    source : path-like or SavedNetwork
        A run folder, or the two files of another network. If the network is cut at a node, only the parameters
        that the node needs are written.
    path : path-like
        Replaced if it exists. Missing parent folders are created.

    Returns
    -------
    WeightsReport
        The names are torchvision's or timm's for a run whose backbone they also have
        (`gluon_lifted.twins.twin_networks.TWINS`), with ``embedding.weight`` and ``embedding.bias`` for the embedding
        layer; otherwise MXNet's. Values are written bit for bit, apart from variances of batch norm whose epsilon
        differs in the twin (`gluon_lifted.twins.batch_norm`).

    Raises
    ------
    RunError, MalformedModelError
        If the files are incomplete or damaged.
    ConfigError
        If the file cannot be written.
    """
    path, metadata = Path(path), {"format": "pt"}  # expected by PyTorch's readers
    if isinstance(source, SavedNetwork):
        params, names = _network(source), MXNET
    else:
        files = read_run(Path(source))
        params, names = _used(files.symbol, files.params, str(Path(source) / SYMBOL_FILE)), MXNET
        metadata[CARD_KEY] = files.card.to_json()
        if (backbone := files.card.backbone) in TWINS:
            params, names = _for_twin(params, backbone), str(TWINS[backbone][0])
    return WeightsReport(
        path=path,
        names=names,
        num_tensors=len(params),
        num_parameters=sum(array.size for array in params.values() if array.ndim),
        size_bytes=write_safetensors(path, params, metadata),
    )


def _network(source: SavedNetwork) -> Arrays:
    symbol = parse_symbol(read_limited(source.symbol, MAX_SYMBOL_BYTES), str(source.symbol))
    if source.output is not None:
        symbol = symbol.with_output(source.output, str(source.symbol))
    params = parse_params(map_file(source.params), str(source.params))
    return _used(symbol, params, str(source.symbol))


def _used(symbol: Symbol, params: Arrays, where: str) -> Arrays:
    """Return the parameters that the outputs depend on, in the symbol's order."""
    names = [node.name for node in symbol.needed_nodes() if node.is_variable]
    missing = [name for name in names if name not in params and name.endswith(PARAMETER_ENDINGS)]
    if missing:
        raise MalformedModelError(
            f"{where}: the .params file lacks {len(missing)} of the network's parameters, such as {missing[0]!r:.100}. "
            "Give two files that were saved together."
        )
    return {name: params[name] for name in names if name in params}


def _for_twin(params: Arrays, backbone: str) -> Arrays:
    """Rename the parameters, and add the number of batches that each of PyTorch's batch norms counts."""
    try:
        renamed = {twin_name(name, backbone): to_twin(array, name, backbone) for name, array in params.items()}
    except ValueError:
        raise MalformedModelError(
            f"the parameters' names are not those of {backbone}, the backbone in the card. Export with --symbol and "
            "--params instead."
        ) from None
    if len(renamed) != len(params):
        raise MalformedModelError(f"two parameters have the same name in {TWINS[backbone][0]}.")
    counts = {
        name.removesuffix(MEAN) + ".num_batches_tracked": np.zeros((), np.int64)
        for name in renamed
        if name.endswith(MEAN)
    }
    return renamed | counts
