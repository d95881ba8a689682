"""Networks with several inputs, with the batch on another axis, or for one batch size only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from export import MalformedModelError, N, NetworkInputs, ParityError, UnsupportedOpError, export_network, verify_file
from gluon_lifted.contract import SavedNetwork
from tests.export.mxnet_files import Net, npz_bytes

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
LEFT, RIGHT = (RNG.normal(size=shape).astype(np.float32) for shape in ((5, 4), (3, 5, 4)))
TWO = NetworkInputs({"left": (N, 4), "right": (3, N, 4)})


def two_inputs() -> Net:
    """Images on axis 0 of one input and on axis 1 of the other; outputs of both forms."""
    net = Net()
    left, right = net.variable("left"), net.variable("right")
    net.op("SwapAxis", "swapped", [right], {"dim1": "0", "dim2": "1"})  # (N, 3, 4)
    net.op("expand_dims", "row", [left], {"axis": "1"})
    net.op("broadcast_add", "sum", [len(net.nodes) - 2, len(net.nodes) - 1])
    net.op("transpose", "last", [len(net.nodes) - 1], {"axes": "(1, 0, 2)"})  # (3, N, 4)
    return net


def save(net: Net, folder: Path) -> SavedNetwork:
    (folder / "net-symbol.json").write_bytes(net.symbol_bytes())
    (folder / "net-0000.params").write_bytes(net.params_bytes())
    return SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")


def reference(folder: Path, expected: np.ndarray) -> Path:
    path = folder / "reference.npz"
    path.write_bytes(npz_bytes({"input/left": LEFT, "input/right": RIGHT, "last_output": expected}))
    return path


def test_two_inputs_are_verified_at_several_batch_sizes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    report = export_network(save(two_inputs(), tmp_path), TWO, path, reference=reference(tmp_path, RIGHT + LEFT))
    assert report.parity is not None
    assert (report.parity.batch_sizes, report.parity.max_abs_error) == ((1, 2, 5), 0)
    assert report.fixed_batch is None
    shapes = [
        [dim.dim_param or dim.dim_value for dim in info.type.tensor_type.shape.dim]
        for info in onnx.load(path).graph.input
    ]
    assert shapes == [["N", 4], [3, "N", 4]]
    wrong = RIGHT + LEFT
    wrong[1, 3] += 1
    reference(tmp_path, wrong)
    with pytest.raises(ParityError, match=r"output 'last_output' differs from MXNet: .* \(row 3\)"):
        verify_file(path, tmp_path / "reference.npz")


def test_an_input_that_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    files = save(two_inputs(), tmp_path)
    with pytest.raises(MalformedModelError, match=r"inputs or parameters without a value: 'right'.*--shape NAME:N,128"):
        export_network(files, NetworkInputs({"left": (N, 4)}), tmp_path / "net.onnx")
    with pytest.raises(
        MalformedModelError,
        match=r"has no input 'data'. Give --shape for the inputs that have no value: 'left', 'right'",
    ):
        export_network(files, NetworkInputs({"data": (N, 4)}), tmp_path / "net.onnx")


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    net = Net()
    net.op("expand_dims", "row", [net.variable("tokens")], {"axis": "1"})
    inputs = NetworkInputs({"tokens": (N, 4)}, {"tokens": np.dtype(np.int32)})
    export_network(save(net, tmp_path), inputs, tmp_path / "net.onnx")
    tokens = np.arange(8, dtype=np.int32).reshape(2, 4)
    (output,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"tokens": tokens})
    assert output.dtype == np.int32
    np.testing.assert_array_equal(output, tokens[:, None])


def test_a_network_for_one_batch_size_says_so(tmp_path: Path) -> None:
    """Its author wrote the batch size into a reshape."""
    net = Net()
    data = net.variable("data")
    net.op("broadcast_add", "sum", [data, net.variable("rows", LEFT)])
    files, path = save(net, tmp_path), tmp_path / "net.onnx"
    report = export_network(files, NetworkInputs({"data": (N, 4)}, batch=5), path)
    assert report.fixed_batch is not None
    assert report.fixed_batch.startswith("5, because other sizes fail: broadcast_add 'sum': its inputs (N, 4)")
    (output,) = onnxruntime.InferenceSession(path).run(None, {"data": LEFT})
    np.testing.assert_array_equal(output, LEFT + LEFT)
    with pytest.raises(MalformedModelError, match=r"\(N, 4\) and \(5, 4\) cannot be broadcast"):
        export_network(files, NetworkInputs({"data": (N, 4)}, batch=2), tmp_path / "none.onnx")


def test_an_operator_that_needs_the_batch_first(tmp_path: Path) -> None:
    net = Net()
    data = net.op("SwapAxis", "swapped", [net.variable("data")], {"dim1": "0", "dim2": "1"})
    net.op("Pooling", "pool", [data], {"global_pool": "True"})
    with pytest.raises(UnsupportedOpError, match=r"Pooling 'pool': its input 'swapped' is \(3, N, 4, 4\); expected"):
        export_network(save(net, tmp_path), NetworkInputs({"data": (N, 3, 4, 4)}, batch=0), tmp_path / "net.onnx")
