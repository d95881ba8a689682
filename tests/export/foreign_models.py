"""ONNX files in the manner of other exporters: mx2onnx and PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

SIDE, DIM = 12, 8


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A convolution, a global pooling and a matrix product; by default as PyTorch's exporter writes it."""

    input_name: str = "input.1"
    output_name: str = "683"
    inner: str = "relu"  # name of the convolution's output
    batch: int | str = "batch_size"
    side: int | str = SIDE
    tail: str = "flatten"  # "reshape": to 1 x C; "none": the pooling is the output; "batch": mixes images
    half: bool = False
    more_outputs: bool = False  # class scores, too
    unit: bool = False  # unit length
    initializers_are_inputs: bool = False  # as mx2onnx wrote them
    opset: int = 13
    weight_scale: float = 0.1

    def weights(self) -> dict[str, np.ndarray]:
        """conv (6, 3, 3, 3), matrix (DIM, 6), bias (DIM,)."""
        rng = np.random.default_rng(0)
        kind = np.float16 if self.half else np.float32
        shapes = {"conv": (6, 3, 3, 3), "matrix": (DIM, 6), "bias": (DIM,)}
        return {name: (self.weight_scale * rng.normal(size=shape)).astype(kind) for name, shape in shapes.items()}

    def rows(self, data: np.ndarray) -> np.ndarray:
        """What it computes for (N, 3, SIDE, SIDE), in float64."""
        weights = {name: array.astype(np.float64) for name, array in self.weights().items()}
        pooled = []
        for image in data.astype(np.float64):
            windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2))
            planes = np.einsum("chwij,fcij->fhw", windows, weights["conv"])
            pooled.append(np.maximum(planes, 0).mean(axis=(1, 2)))
        if self.tail == "none":
            return np.array(pooled)
        rows = np.array(pooled) @ weights["matrix"].T + weights["bias"]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if self.unit else rows

    def model(self) -> onnx.ModelProto:
        kind = TensorProto.FLOAT16 if self.half else TensorProto.FLOAT
        nodes = [
            helper.make_node("Conv", [self.input_name, "conv"], ["planes"]),
            helper.make_node("Relu", ["planes"], [self.inner]),
            helper.make_node("GlobalAveragePool", [self.inner], ["pooled"]),
        ]
        constants = self.weights()
        fixed: list[Any] = [self.batch]
        outputs = [helper.make_tensor_value_info(self.output_name, kind, [*fixed, DIM])]
        if self.tail == "none":
            nodes[-1].output[0] = self.output_name
            outputs = [helper.make_tensor_value_info(self.output_name, kind, [*fixed, 6, 1, 1])]
        else:
            nodes += self._head(constants)
        if self.more_outputs:
            nodes.append(helper.make_node("Softmax", [self.output_name], ["scores"], axis=1))
            outputs.append(helper.make_tensor_value_info("scores", kind, [*fixed, DIM]))
        inputs = [helper.make_tensor_value_info(self.input_name, kind, [*fixed, 3, self.side, self.side])]
        if self.initializers_are_inputs:
            inputs += [
                helper.make_tensor_value_info(name, kind, array.shape)
                for name, array in constants.items()
                if name != "shape"
            ]
        graph = helper.make_graph(
            nodes, "main", inputs, outputs, [numpy_helper.from_array(array, name) for name, array in constants.items()]
        )
        stale = [helper.make_tensor_value_info("planes", kind, [*fixed, 6, SIDE - 2, SIDE - 2])]
        graph.value_info.extend(stale if isinstance(self.side, int) else [])
        version = 3 if self.initializers_are_inputs else 7
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=version)

    def _head(self, constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
        nodes = {
            "flatten": [helper.make_node("Flatten", ["pooled"], ["flat"], axis=1)],
            "reshape": [
                helper.make_node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([1, -1]))),
                helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
            ],
            "batch": [
                helper.make_node("ReduceMean", ["pooled"], ["mean"], axes=[0], keepdims=1),
                helper.make_node("Add", ["pooled", "mean"], ["mixed"]),
                helper.make_node("Flatten", ["mixed"], ["flat"], axis=1),
            ],
        }[self.tail]
        dense = "dense" if self.unit else self.output_name
        nodes.append(helper.make_node("Gemm", ["flat", "matrix", "bias"], [dense], transB=1))
        if self.unit:
            nodes.append(helper.make_node("LpNormalization", [dense], [self.output_name], axis=1, p=2))
        return nodes

    def write(self, path: Path) -> Path:
        path.write_bytes(self.model().SerializeToString())
        return path
