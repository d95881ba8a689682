"""Networks with several inputs: saved by Gluon, recorded, exported and verified by the command line's commands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import mx, nd
from serve_cli.cli.main import app
from tests.export import text_networks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow
TIME = 5  # length of the sequences


@dataclass(frozen=True)
class TextCase:
    """A network, and its inputs as ``--shape`` and ``--dtype`` say them, with N for the batch."""

    network: Callable[[], Any]
    shapes: tuple[str, ...]
    types: tuple[str, ...] = ()
    limits: dict[int, tuple[int, int]] = field(default_factory=dict)  # of the whole numbers of an input

    def options(self, n: int | None = None) -> list[str]:
        """Return the command line's options, with a number for the batch if one is given."""
        shapes = [shape.replace("N", "N" if n is None else f"N={n}") for shape in self.shapes]
        return [*(part for shape in shapes for part in ("--shape", shape)), *self._types()]

    def _types(self) -> list[str]:
        return [part for text in self.types for part in ("--dtype", text)]

    def feeds(self, n: int) -> list[np.ndarray]:
        rng, types = np.random.default_rng(n), dict(text.split(":") for text in self.types)
        feeds = []
        for index, text in enumerate(self.shapes):
            name, _, sizes = text.partition(":")
            shape = [n if size == "N" else int(size) for size in sizes.split(",")]
            low_high = self.limits.get(index)
            array = rng.normal(size=shape) if low_high is None else rng.integers(low_high[0], low_high[1] + 1, shape)
            feeds.append(array.astype(types.get(name, "float32")))
        return feeds


WORDS, LENGTH = (0, text_networks.VOCABULARY - 1), (1, TIME)
CASES = {
    "bert": TextCase(
        lambda: text_networks.Bert(TIME),
        (f"data0:N,{TIME}", f"data1:N,{TIME}", "data2:N"),
        ("data0:int32", "data1:int32"),
        {0: WORDS, 1: (0, 1), 2: LENGTH},
    ),
    "bert of real numbers": TextCase(
        lambda: text_networks.Bert(TIME),
        (f"data0:N,{TIME}", f"data1:N,{TIME}", "data2:N"),
        limits={0: WORDS, 1: (0, 1), 2: LENGTH},
    ),
    "lstm": TextCase(text_networks.LstmClassifier, (f"data0:N,{TIME}", "data1:N"), (), {0: WORDS, 1: LENGTH}),
    "gru": TextCase(text_networks.GruStates, (f"data0:{TIME},N,3", "data1:2,N,4")),
    "unrolled": TextCase(lambda: text_networks.Unrolled(TIME), (f"data:N,{TIME},3",)),
    "text cnn": TextCase(text_networks.TextCnn, (f"data:N,{TIME}",), ("data:int32",), {0: WORDS}),
    "image and text": TextCase(
        text_networks.ImageText, ("data0:N,3,8,8", f"data1:N,{TIME}"), ("data1:int64",), {1: WORDS}
    ),
}


def lifted(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def saved(case: TextCase, folder: Path) -> Any:
    mx.random.seed(0)
    network = case.network()
    network.initialize(mx.init.Normal(0.5))
    network.hybridize()
    network(*(nd.array(array, dtype=array.dtype) for array in case.feeds(2)))
    network.export(str(folder / "net"))
    return network


def files(folder: Path) -> list[str]:
    return ["--symbol", str(folder / "net-symbol.json"), "--params", str(folder / "net-0000.params")]


@pytest.mark.parametrize("name", CASES)
def test_network_equals_mxnet(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    network = saved(case, tmp_path)
    lifted("reference", *files(tmp_path), *case.options(4), "--out", tmp_path / "reference.npz")
    report = lifted(
        "export",
        *(*files(tmp_path), *case.options(), "--reference", tmp_path / "reference.npz"),
        *("--onnx", tmp_path / "net.onnx"),
    )
    assert report["fixed_batch"] is None
    assert report["parity"]["batch_sizes"] == [1, 2, 4]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 3):
        feeds = case.feeds(n)
        expected = network(*(nd.array(array, dtype=array.dtype) for array in feeds))
        expected = expected if isinstance(expected, (list, tuple)) else [expected]
        inputs = [info.name for info in session.get_inputs()]
        for actual, wanted in zip(session.run(None, dict(zip(inputs, feeds, strict=True))), expected, strict=True):
            np.testing.assert_allclose(actual, wanted.asnumpy(), rtol=1e-5, atol=1e-5)


def test_network_that_compares_the_batch_has_a_fixed_size(tmp_path: Path) -> None:
    case = TextCase(text_networks.ContrastiveLogits, ("data0:N,3,8,8", f"data1:N,{TIME}"), ("data1:int32",), {1: WORDS})
    saved(case, tmp_path)
    lifted("reference", *files(tmp_path), *case.options(3), "--out", tmp_path / "reference.npz")
    report = lifted(
        "export",
        *(*files(tmp_path), *case.options(3), "--reference", tmp_path / "reference.npz"),
        *("--onnx", tmp_path / "net.onnx"),
    )
    assert report["fixed_batch"].startswith("3, because other sizes fail: the shape ")
