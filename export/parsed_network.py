"""A parsed network with its inputs and metadata: translate it, optimize it, describe it with a card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.adopt.probe import have_unit_length, open_network, probe_pixels
from export.embedding_network import ends_in_unit_length
from export.errors import MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph.graph import FLOAT32
from export.graph.model import build_model
from export.graph.shape import N
from export.passes.optimize import optimize
from export.passes.preprocessing import GraphPreprocessing
from export.translate import translate
from gluon_lifted.contract import CARD_KEY, EMBEDDING_OUTPUT
from gluon_lifted.images import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from export.embedding_network import EmbeddingNetwork
    from export.graph.graph import Graph
    from export.graph.shape import BatchShape, Size
    from export.network_inputs import NetworkInputs
    from export.options import ExportOptions
    from export.reader.symbol import Symbol
    from gluon_lifted.images import Preprocessing


@dataclass(frozen=True)
class ParsedNetwork:
    """A parsed network, and the metadata to write with it."""

    symbol: Symbol
    params: Mapping[str, NDArray[Any]]
    inputs: NetworkInputs
    where: str
    metadata: dict[str, str]
    outputs: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None  # of the card
    embedding: EmbeddingNetwork | None = None  # for networks from elsewhere
    graph_preprocessing: GraphPreprocessing | None = None  # added once the network itself is verified


def optimized_graph(network: ParsedNetwork, options: ExportOptions) -> tuple[Graph, str | None]:
    """Translate and optimize. The text says why the batch size is fixed; None if it is not."""
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
        fixed = f"{network.inputs.batch}, because other sizes fail: {error}"
    optimize(
        graph,
        half=options.precision == "fp16",
        plain_operators=options.plain_operators,
        keep_batch_norm=options.keep_batch_norm,
    )
    if network.preprocessing is not None and graph.input.dtype != FLOAT32:
        raise MalformedModelError(
            f"{network.where}: takes {graph.input.dtype} images; a model with a card must take float32. Export the two "
            "files with --symbol and --params, without --preprocessing."
        )
    return graph, fixed


def _translate(network: ParsedNetwork, shapes: Mapping[str, BatchShape], batch: Size) -> Graph:
    return translate(
        network.symbol,
        network.params,
        shapes,
        where=network.where,
        dtypes=network.inputs.dtypes,
        outputs=network.outputs,
        batch=batch,
    )


def with_card(
    network: ParsedNetwork, embedding: EmbeddingNetwork, graph: Graph, options: ExportOptions
) -> ParsedNetwork:
    """Describe a translated network from elsewhere with a card."""
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
