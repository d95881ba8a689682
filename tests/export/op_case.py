"""What a case of an operator is, and the tensors and parameters that cases take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from export.translate import LOSSES
from tests.export.mxnet_files import Net

if TYPE_CHECKING:
    from collections.abc import Callable

ROW = (4, 6, 7)  # C, H, W of the images
RNG = np.random.default_rng(5)

# What a case can take beside the images themselves: the node that makes it of them, and what it should be.
SOURCES: dict[str, tuple[str, dict[str, str], Callable[[np.ndarray], np.ndarray]]] = {
    "logistic": ("sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
    "peak": ("Pooling", {"global_pool": "True"}, lambda x: x.max(axis=(2, 3), keepdims=True)),
    "tall": ("Pooling", {"kernel": "(1, 7)"}, lambda x: x.max(axis=3, keepdims=True)),
    "halved": ("Reshape", {"shape": "(0, 2, 12, 7)"}, lambda x: x.reshape(len(x), 2, 12, 7)),
    "flat": ("Flatten", {}, lambda x: x.reshape(len(x), -1)),
    "square": ("slice", {"begin": "(None, 0, 0, 0)", "end": "(None, 1, 6, 6)"}, lambda x: x[:, :1, :, :6]),
    "wide": ("slice", {"begin": "(None, 0, 0, 0)", "end": "(None, 1, 5, 6)"}, lambda x: x[:, :1, :5, :6]),
    "even": ("slice_axis", {"axis": "3", "begin": "1", "end": "None"}, lambda x: x[..., 1:]),
    "sequence": ("Reshape", {"shape": "(0, 4, 42)"}, lambda x: x.reshape(len(x), 4, 42)),
    "volume": ("Reshape", {"shape": "(0, 2, 4, 3, 7)"}, lambda x: x.reshape(len(x), 2, 4, 3, 7)),
    "pair": ("slice_axis", {"axis": "1", "begin": "0", "end": "2"}, lambda x: x[:, :2]),
    "rows": ("mean", {"axis": "(1, 3)"}, lambda x: x.mean((1, 3))),
    "doubled": (
        "UpSampling",
        {"scale": "2", "sample_type": "nearest", "num_args": "1"},
        lambda x: x.repeat(2, axis=2).repeat(2, axis=3),
    ),
    "cosh": ("cosh", {}, np.cosh),
    "columns": ("Reshape", {"shape": "(0, 1, 7, 24)"}, lambda x: x.reshape(len(x), 1, 7, 24)),
    "rectified": ("relu", {}, lambda x: np.maximum(x, 0)),
    "positive": ("_npi_greater_scalar", {"scalar": "0", "is_int": "True"}, lambda x: x > 0),
    "half": ("Cast", {"dtype": "float16"}, lambda x: x.astype(np.float16)),
}


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 2, shape).astype(np.float32)


@dataclass(frozen=True)
class OpCase:
    """One operator; ``oracle(*sources, *params)`` is its output."""

    op: str
    note: str
    oracle: Callable[..., np.ndarray]
    attrs: dict[str, str] = field(default_factory=dict)
    params: dict[str, np.ndarray] = field(default_factory=dict)
    sources: tuple[str, ...] = ("data",)

    def net(self, half: bool = False) -> Net:
        """Build a network of the operator and a Flatten, in half precision if asked for."""
        net = Net()
        data = net.variable("data")
        if half:
            data = net.op("Cast", "half_images", [data], {"dtype": "float16"})
        made = [net.op(SOURCES[s][0], s, [data], SOURCES[s][1]) if s != "data" else data for s in self.sources]
        dtype = np.float16 if half and self.op != "BatchNorm" else np.float32  # Gluon's BatchNorm stays in single
        variables = [net.variable(name, array.astype(dtype)) for name, array in self.params.items()]
        variables += [net.variable("label")] if self.op in LOSSES else []
        tested = net.op(self.op, "tested", made + variables, self.attrs)
        net.op("Flatten", "last", [tested])
        return net

    def expected(self, images: np.ndarray) -> np.ndarray:
        sources = [SOURCES[s][2](images) if s != "data" else images for s in self.sources]
        return self.oracle(*sources, *self.params.values()).reshape(len(images), -1)
