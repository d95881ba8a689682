"""Export a run folder, or the symbol and parameters of any network, to a verified ONNX file."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export.embedding_network import require_one_image, require_one_output
from export.errors import MalformedModelError, ParityError
from export.external_data import map_constants
from export.graph.model import build_model
from export.graph.shape import Batch, N
from export.libraries import onnx
from export.model_file import read_model, require_file_path, write_model
from export.network_inputs import NetworkInputs
from export.options import ExportOptions, ExportReport
from export.parsed_network import ParsedNetwork, optimized_graph, with_card
from export.passes.preprocessing import GraphPreprocessing
from export.quantization.static import quantize_static
from export.reader.limits import map_file, read_limited
from export.reader.params import parse_params
from export.reader.reference import Reference, read_reference
from export.reader.run_folder import read_run
from export.reader.symbol import MAX_SYMBOL_BYTES, parse_symbol
from export.verify import default_tolerance, verify, verify_alone, verify_preprocessing
from gluon_lifted.contract import CARD_KEY, EMBEDDING_OUTPUT, IMAGE_INPUT, REFERENCE_FILE, SYMBOL_FILE

if TYPE_CHECKING:
    import os

    from export.embedding_network import EmbeddingNetwork
    from export.graph.graph import Graph
    from export.graph.shape import BatchShape, Shape
    from export.parity import Parity
    from gluon_lifted.contract import SavedNetwork


DEFAULTS = ExportOptions()


def export_run(
    run: str | os.PathLike[str],
    onnx_path: str | os.PathLike[str],
    options: ExportOptions = DEFAULTS,
    *,
    pixels: bool = False,
    normalize: bool = False,
) -> ExportReport:
    """Translate a run to ONNX, verify it against MXNet's own output, and write it.

    Parameters
    ----------
    run : path-like
        Run folder.
    onnx_path : path-like
        Replaced if it exists, untouched on any failure. Missing parent folders are created.
    options : ExportOptions
        Opset, precision and tolerance.
    pixels : bool
        Put the card's normalization into the file: input ``images``, uint8 (N, H, W, 3) RGB.
    normalize : bool
        Give embeddings unit length in the file, where the network does not.

    Raises
    ------
    RunError, MalformedModelError
        If the run folder is incomplete or damaged.
    UnsupportedOpError, UnsupportedAttributeError
        If the network uses an operator or attribute that has no translation.
    ParityError
        If the model does not compute what MXNet computed.
    ConfigError
        If the file cannot be written.
    """
    run, onnx_path = Path(run), Path(onnx_path)
    require_file_path(onnx_path)
    files = read_run(run)
    crop = files.card.preprocessing.crop
    normalize = normalize and not files.card.normalized
    precision = {} if options.precision == "fp32" else {"precision": options.precision}
    card = replace(
        files.card,
        normalized=files.card.normalized or normalize,
        provenance={**files.card.provenance, **precision},
    )
    network = ParsedNetwork(
        symbol=files.symbol,
        params=files.params,
        inputs=NetworkInputs({IMAGE_INPUT: (N, 3, crop, crop)}),
        where=str(run / SYMBOL_FILE),
        metadata={CARD_KEY: card.to_json()} | _hashes(files.symbol_sha256, files.params_sha256),
        outputs=(EMBEDDING_OUTPUT,),
        preprocessing=card.preprocessing,
        graph_preprocessing=GraphPreprocessing(card.preprocessing, pixels, normalize) if pixels or normalize else None,
    )
    return _export(network, files.reference, onnx_path, options)


def export_network(
    files: SavedNetwork,
    inputs: NetworkInputs,
    onnx_path: str | os.PathLike[str],
    options: ExportOptions = DEFAULTS,
    *,
    reference: str | os.PathLike[str] | None = None,
    embedding: EmbeddingNetwork | None = None,
) -> ExportReport:
    """Translate any MXNet network to ONNX, and verify it if a reference is given.

    Parameters
    ----------
    files : SavedNetwork
        Its two files. Labels of a final loss are left out. ``SoftmaxOutput`` becomes a softmax.
    inputs : NetworkInputs
        Shapes of its inputs. If the network works for one batch size only, the file has that size.
    onnx_path : path-like
        As for `export_run`.
    options : ExportOptions
        Opset and tolerance; int8 needs a run.
    reference : path-like, optional
        File of images and MXNet's outputs for them (`export.reader.reference`).
    embedding : EmbeddingNetwork, optional
        Turns the network into a model that embeds images, with a card, input ``data`` and one output ``embedding``,
        (N, D).

    Raises
    ------
    LiftedError
        As `export_run` does.
    """
    onnx_path = Path(onnx_path)
    require_file_path(onnx_path)
    content, params = read_limited(files.symbol, MAX_SYMBOL_BYTES), map_file(files.params)
    symbol = parse_symbol(content, str(files.symbol))
    if files.output is not None:
        symbol = symbol.with_output(files.output, str(files.symbol))
    network = ParsedNetwork(
        symbol=symbol,
        params=parse_params(params, str(files.params)),
        inputs=inputs,
        where=str(files.symbol),
        metadata=_hashes(hashlib.sha256(content).hexdigest(), hashlib.sha256(params).hexdigest()),
    )
    if embedding is not None:
        require_one_output(symbol, network.where)
        ((input_name, shape),) = require_one_image(inputs.shapes, embedding.preprocessing.crop).items()
        network = replace(
            network,
            symbol=symbol.with_input(input_name, IMAGE_INPUT),
            inputs=NetworkInputs({IMAGE_INPUT: shape}),
            outputs=(EMBEDDING_OUTPUT,),
            preprocessing=embedding.preprocessing,
            embedding=embedding,
        )
    return _export(network, None if reference is None else read_reference(reference), onnx_path, options)


def verify_file(
    model: str | os.PathLike[str], reference: str | os.PathLike[str], tolerance: float | None = None
) -> Parity:
    """Verify an ONNX file.

    Parameters
    ----------
    model : path-like
        ONNX file.
    reference : path-like
        Reference file, or a run folder that holds one.
    tolerance : float, optional
        See `export.verify.verify`.

    Raises
    ------
    ParityError, MalformedModelError
        As `export.verify.verify` and `export.reader.reference.read_reference` do.
    ConfigError
        If the tolerance is not a positive number.
    """
    model, reference = Path(model), Path(reference)
    expected = read_reference(reference / REFERENCE_FILE if reference.is_dir() else reference)
    proto = read_model(model)
    return verify(proto, expected, tolerance, map_constants(proto, model))


def _export(
    network: ParsedNetwork, reference: Reference | None, onnx_path: Path, options: ExportOptions
) -> ExportReport:
    started = time.perf_counter()
    graph, fixed = optimized_graph(network, options)
    if network.embedding is not None:
        network = with_card(network, network.embedding, graph, options)
    if reference is not None:
        _require_shapes(graph, reference, network.where, fixed)
    try:
        model, parity = _verified(graph, network.graph_preprocessing, reference, options)
    except ParityError as error:
        raise ParityError(f"{error} The model was not written.") from None
    if parity and fixed:  # the file does not say which axis counts images
        parity = replace(parity, batch_sizes=(network.inputs.batch,))
    if options.precision == "int8":
        model = quantize_static(model, network.preprocessing, options)
    onnx.helper.set_model_props(model, network.metadata)
    size_bytes = write_model(onnx_path, model, graph.constants)
    used = {node.name for node in network.symbol.nodes if node.is_variable}
    return ExportReport(
        path=onnx_path,
        opset=options.opset,
        num_nodes=len(graph.nodes),
        num_parameters=sum(array.size for name, array in network.params.items() if name in used),
        size_bytes=size_bytes,
        parity=parity,
        fixed_batch=fixed,
        seconds=time.perf_counter() - started,
    )


def _verified(
    graph: Graph, graph_preprocessing: GraphPreprocessing | None, reference: Reference | None, options: ExportOptions
) -> tuple[onnx.ModelProto, Parity | None]:
    """Build and verify the model, then add the preprocessing to the graph, and build and verify again."""
    model, parity = build_model(graph, options.opset), None
    if reference is None:
        verify_alone(model, options.tolerance, graph.constants)
    else:
        parity = verify(model, reference, options.tolerance, graph.constants)
    if graph_preprocessing is None:
        return model, parity
    graph_preprocessing.add_to(graph)
    whole = build_model(graph, options.opset)
    tolerance = options.tolerance or default_tolerance(model)
    verify_preprocessing(whole, model, graph_preprocessing, tolerance, graph.constants)
    return whole, parity


def _require_shapes(graph: Graph, reference: Reference, where: str, fixed: str | None) -> None:
    """Compare all sizes that are not the batch's. ``fixed`` says why the batch has one size only."""
    actual = {name: graph.tensors[name].shape for name in graph.outputs}
    expected = {name: output.shape for name, output in reference.outputs.items()}
    pairs = list(zip(actual.values(), expected.values(), strict=False))
    same_names = actual.keys() == expected.keys() or len(actual) == len(expected) == 1
    if not same_names or not all(_fits(shape, sizes) for shape, sizes in pairs):
        note = f" The batch is fixed at {fixed}" if fixed else ""
        raise MalformedModelError(f"{where}: the outputs are {actual}, but the reference has {expected}.{note}")


def _fits(shape: BatchShape, sizes: Shape) -> bool:
    pairs = zip(shape, sizes, strict=False)
    return len(shape) == len(sizes) and all(isinstance(size, Batch) or size == number for size, number in pairs)


def _hashes(symbol: str, params: str) -> dict[str, str]:
    return {"lifted.symbol_sha256": symbol, "lifted.params_sha256": params}
