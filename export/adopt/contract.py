"""Give an ONNX graph the input and the output that all packages expect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from export.adopt.graph_edits import Names, nested_graphs
from export.adopt.onnx_file import HALF, SINGLE
from export.errors import MalformedModelError
from export.libraries import onnx
from export.passes.preprocessing import LEAST_NORM
from gluon_lifted.contract import EMBEDDING_OUTPUT, IMAGE_INPUT, PIXEL_INPUT

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from export.adopt.onnx_file import OnnxFile

helper = onnx.helper
BATCH = "N"  # as in exported models
MAX_BROADCASTS_SINCE, REDUCTIONS_TAKE_AXES_SINCE = 8, 18  # opsets


def meet_contract(file: OnnxFile, crop: int, rows: NDArray[Any], *, normalize: bool) -> None:
    """Change the input and the output of a model, in place.

    Parameters
    ----------
    crop : int
        Height and width of the images.
    rows : ndarray, float32 or float16, (N, D) or (N, D, 1, 1)
        The network's output for some images.
    normalize : bool
        Scale embeddings to unit length.

    Raises
    ------
    MalformedModelError
        If the file's opset is too old to normalize.
    """
    graph = file.model.graph
    for part in (graph, *nested_graphs(graph.node)):
        del part.value_info[:]  # it has the old batch size and names
        del part.quantization_annotation[:]
    names = Names(graph)
    name, kind, shape = PIXEL_INPUT, file.kind, (crop, crop, 3)
    if not file.takes_pixels:
        name, kind, shape = IMAGE_INPUT, SINGLE, (3, crop, crop)
        names.rename(graph.input[0].name, IMAGE_INPUT)
        if file.kind == HALF:
            half = names.vacate(IMAGE_INPUT, f"{IMAGE_INPUT}/half")
            graph.node.insert(0, helper.make_node("Cast", [IMAGE_INPUT], [half], to=HALF))
    graph.input[0].CopyFrom(helper.make_tensor_value_info(name, kind, [BATCH, *shape]))
    names.rename(graph.output[0].name, EMBEDDING_OUTPUT)
    if rows.dtype == np.float16:
        before = names.vacate(EMBEDDING_OUTPUT, f"{EMBEDDING_OUTPUT}/half")
        graph.node.append(helper.make_node("Cast", [before], [EMBEDDING_OUTPUT], to=SINGLE))
    if rows.ndim > 2:
        before = names.vacate(EMBEDDING_OUTPUT, f"{EMBEDDING_OUTPUT}/raw")
        graph.node.append(helper.make_node("Flatten", [before], [EMBEDDING_OUTPUT], axis=1))
    if normalize:
        _normalize(file, names)
    width = math.prod(rows.shape[1:])
    graph.output[0].CopyFrom(helper.make_tensor_value_info(EMBEDDING_OUTPUT, SINGLE, [BATCH, width]))


def _normalize(file: OnnxFile, names: Names) -> None:
    """Divide each row of the output by its Euclidean length."""
    graph = file.model.graph
    opset = next((entry.version for entry in file.model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if opset < MAX_BROADCASTS_SINCE:
        raise MalformedModelError(
            f"{file.path}: embeddings cannot be normalized in opset {opset}. Export the network again with opset "
            f"{MAX_BROADCASTS_SINCE} or newer, or leave out --normalize."
        )
    before = names.vacate(EMBEDDING_OUTPUT, f"{EMBEDDING_OUTPUT}/before_norm")
    length, divisor, least = (names.fresh(f"{EMBEDDING_OUTPUT}/{part}") for part in ("length", "divisor", "least"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([LEAST_NORM], np.float32), least))
    reduce = helper.make_node("ReduceL2", [before], [length], keepdims=1)
    if opset < REDUCTIONS_TAKE_AXES_SINCE:
        reduce.attribute.append(helper.make_attribute("axes", [1]))
    else:
        reduce.input.append(names.fresh(f"{EMBEDDING_OUTPUT}/axes"))
        graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), reduce.input[1]))
    graph.node.extend(
        [
            reduce,
            helper.make_node("Max", [length, least], [divisor]),
            helper.make_node("Div", [before, divisor], [EMBEDDING_OUTPUT]),
        ]
    )
