"""Take an inventory of an MXNet network's files: operators, inputs, outputs, and guesses of what the files omit."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import export.ops  # noqa: F401  # fills the table of translators
from export.embedding_network import is_vector
from export.errors import MalformedModelError
from export.graph.shape import N
from export.inventory.embedding_node import EmbeddingNode, guess_embedding
from export.inventory.input_images import Guess, channels, declared_shape, guess_preprocessing
from export.ops.registry import TRANSLATORS
from export.reader.limits import map_file, read_limited
from export.reader.params import parse_params
from export.reader.symbol import MAX_SYMBOL_BYTES, Symbol, parse_symbol
from export.translate import translate
from gluon_lifted.contract import IMAGE_INPUT
from gluon_lifted.errors import LiftedError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from export.graph.shape import Shape
    from export.reader.symbol import SymbolNode

Params = Mapping[str, NDArray[Any]]
# Endings that MXNet, Gluon and their users give to parameters. Without the parameters, only names distinguish inputs
PARAMETER = re.compile(
    r".*[_.](weight|bias|gamma|beta|alpha|moving_mean|moving_var|moving_avg|running_mean|running_var|running_std|"
    r"parameters|mult|scale|const[0-9]*)"
)
LABEL = "label"
SIDES = (224, 112, 299, 227, 256, 128, 96, 64, 32, 28)  # pixels, the most common first
FITS = "guessed: the first common size that fits the parameters"
USUAL_SIDES = {"insightface": 112}


@dataclass(frozen=True)
class Output:
    """An output of the network: the node that computes it, and the node's operator."""

    node: str
    op: str


@dataclass(frozen=True)
class InputShape:
    """Shape (C, H, W) of an image, and where it comes from."""

    shape: tuple[int, int, int]
    reason: str


@dataclass(frozen=True)
class NetworkInventory:
    """Content of a network's files, and guesses of what they omit.

    Parameters
    ----------
    symbol, params : Path
        The files; the parameters are optional.
    mxnet_version : str
        Version of MXNet that wrote the symbol, or ``"unknown"``.
    operators : dict
        Operator -> number of nodes, the most frequent first, under MXNet 1.9.1's names.
    without_translator : dict
        Operators that have no translator -> name of the first node.
    in_the_way : tuple of str
        Operators without a translator that the embedding depends on, or the outputs if no embedding is guessed.
    inputs : tuple of str
        Variables for images. Guessed from names if there are no parameters.
    labels : tuple of str
        Variables for the labels of a loss. Inference does not need them.
    missing_parameters : tuple of str
        Variables named as parameters that the parameter file lacks.
    num_parameters : int or None
        Numbers in the parameters that the network uses; None without a parameter file.
    outputs : tuple of Output
        The network's outputs.
    embedding : EmbeddingNode or None
        Guess of the node to cut at.
    dim : int or None
        Width of the embedding; None if the network was not translated.
    preprocessing : Guess or None
        Guess of the preset of `gluon_lifted.images.presets`.
    image : InputShape
        Shape of an image.
    problem : str or None
        Why the network, cut at ``embedding``, cannot be exported. None if no reason is known.
    """

    symbol: Path
    params: Path | None
    mxnet_version: str
    operators: dict[str, int]
    without_translator: dict[str, str]
    in_the_way: tuple[str, ...]
    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    missing_parameters: tuple[str, ...]
    num_parameters: int | None
    outputs: tuple[Output, ...]
    embedding: EmbeddingNode | None
    dim: int | None
    preprocessing: Guess | None
    image: InputShape
    problem: str | None


def inspect_network(
    symbol_file: str | os.PathLike[str], params_file: str | os.PathLike[str] | None = None
) -> NetworkInventory:
    """Take an inventory of a network that MXNet saved, without MXNet.

    Parameters
    ----------
    symbol_file : path-like
        The ``-symbol.json`` file.
    params_file : path-like, optional
        The ``.params`` file. With it, inputs are certain, and image sizes are tried until one fits.

    Raises
    ------
    MalformedModelError
        If a file is damaged.
    """
    symbol_file, where = Path(symbol_file), str(symbol_file)
    symbol = parse_symbol(read_limited(symbol_file, MAX_SYMBOL_BYTES), where)
    params: Params | None = None
    if params_file is not None:
        params_file = Path(params_file)
        params = parse_params(map_file(params_file), str(params_file))
    inputs, labels, missing = _free_variables(symbol, params)
    if not inputs:
        raise MalformedModelError(
            f"{where}: has no input, since every variable is a parameter; expected one for images, such as data."
        )
    embedding = guess_embedding(symbol)
    cut = symbol if embedding is None or embedding.is_output else symbol.with_output(embedding.name, where)
    image = next(index for index, node in enumerate(symbol.nodes) if node.is_variable and node.name == inputs[0])
    preprocessing = guess_preprocessing(symbol, image, params)
    usual_side = USUAL_SIDES.get(preprocessing.value if preprocessing else "", SIDES[0])
    trial = _try_shapes(symbol, cut, image, params, where, usual_side)
    return NetworkInventory(
        symbol=symbol_file,
        params=params_file,
        mxnet_version=_version(symbol.mxnet_version),
        operators=dict(Counter(node.op for node in symbol.nodes if not node.is_variable).most_common()),
        without_translator=_without_translator(symbol.nodes),
        in_the_way=tuple(_without_translator(cut.needed_nodes())),
        inputs=inputs,
        labels=labels,
        missing_parameters=missing,
        num_parameters=None if params is None else _used_numbers(symbol, params),
        outputs=tuple(Output(symbol.nodes[head.node].name, symbol.nodes[head.node].op) for head in symbol.heads),
        embedding=embedding,
        dim=trial.dim,
        preprocessing=preprocessing,
        image=trial.image,
        problem=trial.problem,
    )


@dataclass(frozen=True)
class _Trial:
    image: InputShape
    dim: int | None = None
    problem: str | None = None


def _free_variables(symbol: Symbol, params: Params | None) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the variables without a parameter: inputs (``data`` first), labels, and missing parameters."""
    names = [node.name for node in symbol.nodes if node.is_variable]
    free = [name for name in names if name not in (params or {})]
    labels = tuple(name for name in free if name.endswith(LABEL))
    parameters = [name for name in free if PARAMETER.fullmatch(name)]
    inputs = sorted((name for name in free if name not in {*labels, *parameters}), key=lambda name: name != IMAGE_INPUT)
    return tuple(inputs), labels, tuple(parameters) if params is not None else ()


def _used_numbers(symbol: Symbol, params: Params) -> int:
    used = {node.name for node in symbol.nodes if node.is_variable}
    return sum(array.size for name, array in params.items() if name in used)


def _version(number: int | None) -> str:
    if number is None or not 0 < number < 1_000_000:
        return "unknown"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _without_translator(nodes: Iterable[SymbolNode]) -> dict[str, str]:
    first: dict[str, str] = {}
    for node in nodes:
        if not node.is_variable and node.op not in TRANSLATORS:
            first.setdefault(node.op, node.name)
    return dict(sorted(first.items()))


def _try_shapes(symbol: Symbol, cut: Symbol, image: int, params: Params | None, where: str, usual_side: int) -> _Trial:
    """Translate the network for common image sizes until one fits its parameters, then translate it up to the cut.

    The whole network is tried first, as parameters after the cut also depend on the size; then the cut network.
    """
    declared = declared_shape(symbol, image)
    usual = InputShape(declared or (3, usual_side, usual_side), "declared in the file" if declared else "guessed")
    if params is None:
        return _Trial(usual)
    depth = channels(symbol, image, params)
    shapes = [usual] if declared else []
    shapes += [InputShape((depth, side, side), FITS) for side in dict.fromkeys((usual_side, *SIDES))]
    for network in (symbol, cut):
        for shape in shapes:
            if _try(network, image, params, where, shape).problem is None:
                return _try(cut, image, params, where, shape)
    return _try(cut, image, params, where, shapes[0])


def _try(symbol: Symbol, image: int, params: Params, where: str, shape: InputShape) -> _Trial:
    try:
        graph = translate(symbol, params, {symbol.nodes[image].name: (N, *shape.shape)}, where)
        rows = [graph.tensors[name].row for name in graph.outputs]
    except LiftedError as error:
        return _Trial(shape, problem=str(error))
    return _Trial(shape, _width(rows))


def _width(rows: Sequence[Shape]) -> int | None:
    """Return the width of the only output if its rows are vectors."""
    return math.prod(rows[0]) if len(rows) == 1 and is_vector(rows[0]) else None
