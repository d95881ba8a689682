"""Add preprocessing to the ONNX graph: pixels as its input, embeddings of unit length as its output."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import Tensor
from export.graph.shape import N
from gluon_lifted.contract import PIXEL_INPUT

if TYPE_CHECKING:
    from export.graph.graph import Graph
    from gluon_lifted.images import Preprocessing


@dataclass(frozen=True)
class GraphPreprocessing:
    """What to add before and after a network.

    Parameters
    ----------
    preprocessing : Preprocessing
        From the network's card.
    pixels : bool
        Whether the model takes pixels and normalizes them itself.
    normalize : bool
        Whether the model gives the rows of its output unit length.
    flatten : bool
        Whether the network's output is (N, D, 1, 1).
    """

    preprocessing: Preprocessing
    pixels: bool
    normalize: bool
    flatten: bool = False

    @property
    def changes_the_graph(self) -> bool:
        """Whether there is anything to add."""
        return self.pixels or self.normalize or self.flatten

    def add_to(self, graph: Graph) -> None:
        """Add the nodes to a finished graph, in place."""
        if self.flatten:
            flatten_rows(graph)
        if self.normalize:
            normalize_rows(graph)
        if self.pixels:
            take_pixels(graph, self.preprocessing)


NORMALIZED_PIXELS = "images/normalized"  # name of the convolution that normalizes
LEAST_NORM = 1e-12  # a row of zeros stays zero


def take_pixels(graph: Graph, preprocessing: Preprocessing) -> None:
    """Make the input uint8 (N, H, W, 3) RGB, the form of decoded images, and normalize it in the graph.

    Notes
    -----
    ``(pixels - mean) / std`` and the order of the channels are one 1 x 1 convolution. Its matrix has 1 / std where
    an input channel becomes an output channel. Its bias is -mean / std.
    """
    data, (channels, height, width) = graph.input, graph.input.row
    order = [0, 1, 2] if preprocessing.channels == "RGB" else [2, 1, 0]
    scale = 1 / np.asarray(preprocessing.std, np.float32)
    matrix = np.zeros((channels, 3, 1, 1), np.float32)
    matrix[np.arange(3), order, 0, 0] = scale
    shift = -np.asarray(preprocessing.mean, np.float32) * scale
    graph.inputs = [Tensor(graph.claim(PIXEL_INPUT), (N, height, width, 3), np.dtype(np.uint8))]
    graph.tensors[graph.input.name] = graph.input
    first, graph.nodes = graph.nodes, []
    real = graph.cast(graph.input, data.dtype, f"{PIXEL_INPUT}/float")
    planes = graph.add("Transpose", f"{PIXEL_INPUT}/planes", (real,), data.row, {"perm": (0, 3, 1, 2)})
    weights = [graph.constant(f"{PIXEL_INPUT}/{name}", array) for name, array in (("scale", matrix), ("shift", shift))]
    graph.produce(data, "Conv", NORMALIZED_PIXELS, (planes, *weights), {"kernel_shape": (1, 1)})
    graph.nodes += first


def flatten_rows(graph: Graph) -> None:
    """Make the one output (N, D) of (N, D, 1, 1)."""
    (output,) = graph.outputs
    raw = replace(graph.tensors[output], name=graph.claim(f"{output}/raw"))
    graph.rename(output, raw.name)
    graph.produce(
        replace(raw, name=output, shape=(N, math.prod(raw.row))), "Flatten", f"{output}/flat", (raw,), {"axis": 1}
    )


def normalize_rows(graph: Graph) -> None:
    """Divide each row of the one output, (N, D), by its Euclidean length."""
    (output,) = graph.outputs
    raw = replace(graph.tensors[output], name=graph.claim(f"{output}/raw"))
    graph.rename(output, raw.name)
    axes = graph.constant(f"{output}/axes", np.array([1], np.int64))
    least = graph.constant(f"{output}/least", np.array(LEAST_NORM, np.float32))
    square = graph.add("Mul", f"{output}/square", (raw, raw), raw.row)
    total = graph.add("ReduceSum", f"{output}/sum", (square, axes), (1,), {"keepdims": 1})
    root = graph.add("Sqrt", f"{output}/root", (total,), (1,))
    norm = graph.add("Max", f"{output}/norm", (root, least), (1,))
    graph.produce(replace(raw, name=output), "Div", f"{output}/unit", (raw, norm))
