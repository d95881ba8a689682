"""Run an ONNX model on the CPU: with onnxruntime, or with onnx's evaluator for newer opsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from export.errors import ParityError
from export.libraries import onnx, onnxruntime

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

Feeds = Mapping[str, NDArray[Any]]  # name of an input -> its values
Run = Callable[[Sequence[str], Feeds], list[NDArray[Any]]]
SLOW_IMAGES = 2  # images to verify with onnx's evaluator, which is slow


@dataclass(frozen=True)
class Runner:
    """A model that can be run.

    Parameters
    ----------
    run : callable
        Takes names of outputs, and the inputs; returns those outputs.
    engine : str
        What runs the model: ``"onnxruntime"`` or ``"onnx"``.
    """

    run: Run
    engine: str


def open_model(model: onnx.ModelProto) -> Runner:
    """Load a model.

    Raises
    ------
    ParityError
        If onnxruntime refuses the model although it knows the opset.
    """
    try:
        session = _session(model)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        opset, reason = model.opset_import[0].version, " ".join(str(error).split())
        if opset > onnx.defs.onnx_opset_version() or _runtime_knows(opset):
            raise ParityError(
                f"onnxruntime {onnxruntime.__version__} cannot load the model (opset {opset}): ...{reason[-160:]}"
            ) from None
        evaluator = _evaluator(model)
        return Runner(lambda names, feeds: list(evaluator.run(list(names), dict(feeds))), "onnx")
    return Runner(lambda names, feeds: list(session.run(list(names), dict(feeds))), "onnxruntime")


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _runtime_knows(opset: int) -> bool:
    """Return whether the installed onnxruntime loads a model of one node at this opset."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    opsets = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(opsets)
    graph = onnx.helper.make_graph([node], "one", infos[:1], infos[1:])
    try:
        _session(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=version))
    except Exception:  # onnxruntime's own exceptions share no base class
        return False
    return True


def _evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model)
