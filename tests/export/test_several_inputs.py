"""A network of two inputs, time first and batch first, from its files to the verified model, without MXNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from export import N, NetworkInputs, export_network
from export.batches import batch_axes, count_rows, join_rows, rows_first, take_rows
from export.errors import MalformedModelError, ParityError
from gluon_lifted.contract import SavedNetwork
from tests.export import sequence_oracles
from tests.export.mxnet_files import Net, npz_bytes

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = NetworkInputs({"steps": (4, N, 3), "tokens": (N, 2)}, {"tokens": np.dtype("int32")}, batch=5)
WEIGHT = np.random.default_rng(3).normal(size=(7, 3)).astype(np.float32)
AXES = {"steps": 1, "tokens": 0, "added_output": 1, "over_output": 0}


def network() -> Net:
    net = Net()
    steps, tokens, weight = net.variable("steps"), net.variable("tokens"), net.variable("weight", WEIGHT)
    words = net.op("Embedding", "words", [tokens, weight], {"input_dim": "7", "output_dim": "3"})
    total = net.op("sum", "total", [words], {"axis": "1"})
    added = net.op("broadcast_add", "added", [steps, net.op("expand_dims", "as_steps", [total], {"axis": "0"})])
    net.heads = [[added, 0, 0], [net.op("mean", "over", [added], {"axis": "0"}), 0, 0]]
    return net


def arrays(n: int = 5) -> dict[str, np.ndarray]:
    """A reference: inputs, outputs, and the first image's node."""
    rng = np.random.default_rng(n)
    steps, tokens = rng.normal(size=(4, n, 3)).astype(np.float32), rng.integers(0, 7, (n, 2)).astype(np.int32)
    words = sequence_oracles.embedding(tokens, WEIGHT)
    total = np.array([sum(row) for row in words])
    added = np.array([step + total for step in steps])
    outputs = {"added_output": added, "over_output": sum(added) / 4, "node/words": words[:1], "node/total": total[:1]}
    inputs = {"input/steps": steps, "input/tokens": tokens}
    return inputs | {name: array.astype(np.float32) for name, array in outputs.items()}


def save(net: Net, folder: Path) -> SavedNetwork:
    saved = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    saved.symbol.write_bytes(net.symbol_bytes())
    saved.params.write_bytes(net.params_bytes())
    return saved


def export_with(folder: Path, reference: dict[str, np.ndarray], net: Net | None = None, inputs: NetworkInputs = INPUTS):
    (folder / "r.npz").write_bytes(npz_bytes(reference))
    return export_network(save(net or network(), folder), inputs, folder / "net.onnx", reference=folder / "r.npz")


def test_the_model_takes_both_inputs_at_any_batch_size(tmp_path: Path) -> None:
    report = export_with(tmp_path, arrays())
    assert report.fixed_batch is None
    assert report.parity.batch_sizes == (1, 2, 5)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert {info.name: (info.type, info.shape) for info in session.get_inputs()} == {
        "steps": ("tensor(float)", [4, "N", 3]),
        "tokens": ("tensor(int32)", ["N", 2]),
    }
    other = arrays(3)
    outputs = session.run(None, {name: other[f"input/{name}"] for name in ("steps", "tokens")})
    for info, actual in zip(session.get_outputs(), outputs, strict=True):
        np.testing.assert_allclose(actual, other[info.name], rtol=1e-5, atol=1e-6)


def test_axes_are_those_with_the_batch(tmp_path: Path) -> None:
    export_with(tmp_path, arrays())
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert batch_axes(graph.input) | batch_axes(graph.output) == AXES
    assert INPUTS.batch_axes() == {"steps": 1, "tokens": 0}
    assert INPUTS.fixed() == {"steps": (4, 5, 3), "tokens": (5, 2)}


@pytest.mark.parametrize("name", ["added_output", "over_output"])
@pytest.mark.parametrize("row", [0, 4])
def test_a_difference_in_any_row_of_any_output_is_noticed(tmp_path: Path, name: str, row: int) -> None:
    wrong = arrays()
    rows_first(wrong[name], AXES[name])[row, -1] += 0.01
    with pytest.raises(ParityError, match=f"output '{name}' .*row {row}"):
        export_with(tmp_path, wrong)
    assert not (tmp_path / "net.onnx").exists()


def test_the_first_node_that_differs_is_named(tmp_path: Path) -> None:
    net = network()
    net.params["weight"] = WEIGHT + 1
    with pytest.raises(ParityError, match=r"The first node that differs is 'words' \(Gather\)"):
        export_with(tmp_path, arrays(), net)


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    complete = arrays()
    missing = {name: array for name, array in complete.items() if name != "input/tokens"}
    with pytest.raises(
        MalformedModelError, match=r"has inputs \['steps', 'tokens'\].*but the reference has \['steps'\]"
    ):
        export_with(tmp_path, missing)
    real = complete | {"input/tokens": complete["input/tokens"].astype(np.float32)}
    with pytest.raises(MalformedModelError, match="'tokens' is INT32, but the reference has float32"):
        export_with(tmp_path, real)
    longer = complete | {"input/tokens": complete["input/tokens"].repeat(2, axis=1)}
    with pytest.raises(MalformedModelError, match=r"is \(N, 2\), but the reference has \(5, 4\)"):
        export_with(tmp_path, longer)


def test_a_network_for_one_batch_size_says_why(tmp_path: Path) -> None:
    net = network()
    net.nodes[-1]["attrs"] = {"axis": "(0, 1)"}
    reference = arrays() | {"over_output": arrays()["added_output"].mean((0, 1))}
    report = export_with(tmp_path, reference, net)
    assert report.fixed_batch.startswith("5, because other sizes fail: mean 'over': attribute axis=(0, 1)")
    assert report.parity.batch_sizes == (5,)
    smaller = NetworkInputs(INPUTS.shapes, INPUTS.dtypes, batch=2)
    with pytest.raises(MalformedModelError, match="The batch is fixed at 2, because other sizes fail: mean 'over'"):
        export_with(tmp_path, reference, net, smaller)


def test_rows_are_cut_and_joined_along_their_axes() -> None:
    whole = {"steps": arrays()["input/steps"], "tokens": arrays()["input/tokens"], "table": WEIGHT}
    axes = {"steps": 1, "tokens": 0, "table": None}
    parts = [take_rows(whole, axes, start, start + 2) for start in (0, 2, 4)]
    assert [part["steps"].shape for part in parts] == [(4, 2, 3), (4, 2, 3), (4, 1, 3)]
    assert all(part["table"].shape == (7, 3) for part in parts)
    assert count_rows(whole, axes) == 5
    for name, array in join_rows(parts, axes).items():
        np.testing.assert_array_equal(array, whole[name])
