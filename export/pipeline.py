"""Export a run folder, or the symbol and parameters of any network, to a verified ONNX file."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.adopt.probe import have_unit_length, open_network, probe_pixels
from export.embedding_network import ends_in_unit_length, require_one_image, require_one_output
from export.errors import MalformedModelError, ParityError, UnsupportedAttributeError, UnsupportedOpError
from export.external_data import external_tensors, map_constants
from export.graph.graph import FLOAT32
from export.graph.model import build_model
from export.graph.shape import Batch, N
from export.libraries import onnx
from export.model_file import read_model, require_file_path, write_model
from export.network_inputs import NetworkInputs
from export.options import ExportOptions, ExportReport
from export.passes.optimize import optimize
from export.passes.preprocessing import NORMALIZED_PIXELS, GraphPreprocessing
from export.quantization.calibration import calibration_images
from export.quantization.quantize import QUANTIZED, coarse_sums, quantize, sensitive_nodes
from export.quantization.ranges import activation_ranges
from export.reader.limits import map_file, read_limited
from export.reader.params import parse_params
from export.reader.reference import Reference, read_reference
from export.reader.run_folder import read_run
from export.reader.symbol import MAX_SYMBOL_BYTES, Symbol, parse_symbol
from export.translate import translate
from export.verify import default_tolerance, verify, verify_alone, verify_preprocessing
from gluon_lifted.contract import CARD_KEY, EMBEDDING_OUTPUT, IMAGE_INPUT, PIXEL_INPUT, REFERENCE_FILE, SYMBOL_FILE
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import normalize

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from export.embedding_network import EmbeddingNetwork
    from export.graph.graph import Graph
    from export.graph.shape import BatchShape, Shape, Size
    from export.parity import Parity
    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.images import Preprocessing


DEFAULTS = ExportOptions()
CALIBRATION_BATCH = 10  # keeps the memory of all activations bounded


@dataclass(frozen=True)
class _Network:
    """A parsed network, and the metadata to write with it."""

    symbol: Symbol
    params: Mapping[str, NDArray[Any]]
    inputs: NetworkInputs
    where: str
    metadata: dict[str, str]
    outputs: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None  # of the card
    embedding: EmbeddingNetwork | None = None  # for networks of others
    graph_preprocessing: GraphPreprocessing | None = None  # added once the network itself is verified


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
    network = _Network(
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
        Its two files. Labels of a final loss are left out; ``SoftmaxOutput`` becomes a softmax.
    inputs : NetworkInputs
        Shapes of its inputs. If the network works for one batch size only, the file has that size.
    onnx_path : path-like
        As for `export_run`.
    options : ExportOptions
        Opset and tolerance; int8 needs a run.
    reference : path-like, optional
        File of images and MXNet's outputs for them (`export.reader.reference`).
    embedding : EmbeddingNetwork, optional
        Makes the network a model that embeds images: with a card, input ``data`` and one output ``embedding``, (N, D).

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
    network = _Network(
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


def _export(network: _Network, reference: Reference | None, onnx_path: Path, options: ExportOptions) -> ExportReport:
    started = time.perf_counter()
    graph, fixed = _graph(network, options)
    if network.embedding is not None:
        network = _with_card(network, network.embedding, graph, options)
    if reference is not None:
        _require_shapes(graph, reference, network.where, fixed)
    try:
        model, parity = _verified(graph, network.graph_preprocessing, reference, options)
    except ParityError as error:
        raise ParityError(f"{error} Model not written.") from None
    if parity and fixed:  # the file does not say which axis counts images
        parity = replace(parity, batch_sizes=(network.inputs.batch,))
    if options.precision == "int8":
        model = _quantized(model, network, options)
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


def _with_card(network: _Network, embedding: EmbeddingNetwork, graph: Graph, options: ExportOptions) -> _Network:
    """Describe a translated network of others by a card."""
    claimed = embedding.described is not None and embedding.described.normalized
    unit_length = ends_in_unit_length(network.symbol) or (claimed and _gives_unit_length(graph, embedding, options))
    row = graph.tensors[EMBEDDING_OUTPUT].row
    source = {"symbol": Path(network.where).name}
    if options.precision != "fp32":
        source["precision"] = options.precision
    card = embedding.card(row, network.where, unit_length=unit_length, provenance=source)
    added = GraphPreprocessing(
        embedding.preprocessing,
        pixels=embedding.pixels,
        normalize=embedding.normalize and not unit_length,
        flatten=len(row) > 1,
    )
    return replace(
        network,
        metadata={CARD_KEY: card.to_json()} | network.metadata,
        graph_preprocessing=added if added.changes_the_graph else None,
    )


def _gives_unit_length(graph: Graph, embedding: EmbeddingNetwork, options: ExportOptions) -> bool:
    """Run a translated network to see whether its embeddings have unit length."""
    data = normalize(probe_pixels(embedding.preprocessing.crop), embedding.preprocessing)
    rows = open_network(build_model(graph, options.opset), "the translated network")(data)
    return have_unit_length(rows.reshape(len(rows), -1))


def _graph(network: _Network, options: ExportOptions) -> tuple[Graph, str | None]:
    """Translate and optimize. The text says why the batch is fixed, for a network that works for one size only."""
    fixed = None
    try:
        graph = _translate(network, network.inputs.shapes, N)
    except (UnsupportedOpError, UnsupportedAttributeError, MalformedModelError) as error:
        if network.preprocessing is not None:
            raise
        try:
            graph = _translate(network, network.inputs.fixed(), network.inputs.batch)
        except (UnsupportedOpError, UnsupportedAttributeError, MalformedModelError):
            raise error from None
        fixed = f"{network.inputs.batch}, as any other fails: {error}"
    optimize(
        graph,
        half=options.precision == "fp16",
        plain_operators=options.plain_operators,
        keep_batch_norm=options.keep_batch_norm,
    )
    if network.preprocessing is not None and graph.input.dtype != FLOAT32:
        raise MalformedModelError(
            f"{network.where} takes {graph.input.dtype} images; a model with a card takes float32. Export the two "
            "files with --symbol and --params, without preprocessing."
        )
    return graph, fixed


def _translate(network: _Network, shapes: Mapping[str, BatchShape], batch: Size) -> Graph:
    return translate(
        network.symbol,
        network.params,
        shapes,
        where=network.where,
        dtypes=network.inputs.dtypes,
        outputs=network.outputs,
        batch=batch,
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


def _quantized(model: onnx.ModelProto, network: _Network, options: ExportOptions) -> onnx.ModelProto:
    if network.preprocessing is None or options.calibration is None:
        raise ConfigError("int8 needs the model card of a run, which describes how images are preprocessed.")
    if external_tensors(model):
        raise ConfigError("int8 is for networks of less than 2 GiB; export this one in fp32 or fp16.")
    images: NDArray[Any] = calibration_images(options.calibration, network.preprocessing)
    if model.graph.input[0].name != PIXEL_INPUT:
        images = normalize(images, network.preprocessing)
    batches = (images[start : start + CALIBRATION_BATCH] for start in range(0, len(images), CALIBRATION_BATCH))
    ranges = activation_ranges(model, batches, QUANTIZED, options.calibration_method)
    keep = [*sensitive_nodes(model), NORMALIZED_PIXELS]
    quantized = quantize(model, ranges, keep)
    if coarse := coarse_sums(model, quantized):
        quantized = quantize(model, ranges, [*keep, *coarse])
    verify_alone(quantized)
    return quantized


def _require_shapes(graph: Graph, reference: Reference, where: str, fixed: str | None) -> None:
    """Compare all sizes that are not the batch's. ``fixed`` says why the batch has one size only."""
    actual = {name: graph.tensors[name].shape for name in graph.outputs}
    expected = {name: output.shape for name, output in reference.outputs.items()}
    pairs = list(zip(actual.values(), expected.values(), strict=False))
    same_names = actual.keys() == expected.keys() or len(actual) == len(expected) == 1
    if not same_names or not all(_fits(shape, sizes) for shape, sizes in pairs):
        note = f". The batch is fixed at {fixed}" if fixed else "."
        raise MalformedModelError(f"{where}: the outputs are {actual}; the reference has {expected}{note}")


def _fits(shape: BatchShape, sizes: Shape) -> bool:
    pairs = zip(shape, sizes, strict=False)
    return len(shape) == len(sizes) and all(isinstance(size, Batch) or size == number for size, number in pairs)


def _hashes(symbol: str, params: str) -> dict[str, str]:
    return {"lifted.symbol_sha256": symbol, "lifted.params_sha256": params}
