"""Options for the graph that `lifted export` writes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

GRAPH = "Graph"  # title of a panel of --help

Preprocess = Annotated[
    Literal["caller", "graph"],
    typer.Option(
        "--preprocess",
        metavar="caller|graph",
        help="Leave the normalization of images to the caller, or put it into the graph (uint8 input).",
    ),
]
Normalize = Annotated[bool, typer.Option("--normalize", help="Scale embeddings to unit length in the graph.")]
Opset = Annotated[
    int, typer.Option("--opset", metavar="N", help="Use this ONNX operator set, 13 or newer.", rich_help_panel=GRAPH)
]
PlainOperators = Annotated[
    bool,
    typer.Option(
        "--plain-operators",
        help="Keep ONNX's LRN and PRelu instead of equivalents that run faster on CPUs.",
        rich_help_panel=GRAPH,
    ),
]
KeepBatchNorm = Annotated[
    bool,
    typer.Option(
        "--keep-batch-norm",
        help="Keep batch norm and the weights as trained, for further training. Inference is slower.",
        rich_help_panel=GRAPH,
    ),
]
