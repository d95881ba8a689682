"""Run an ONNX model on the CPU: with onnxruntime, or with onnx's evaluator for newer opsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ParityError
from export.external_data import NO_CONSTANTS, Constants, external_tensors, inlined
from export.libraries import onnx, onnxruntime

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

RunSession = Callable[[list[str], dict[str, NDArray[Any]]], list[NDArray[Any]]]
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


def open_model(model: onnx.ModelProto, constants: Constants = NO_CONSTANTS) -> Runner:
    """Load a model.

    Parameters
    ----------
    model : ModelProto
        The model.
    constants : mapping
        Constants that it only names (`export.external_data`).

    Raises
    ------
    ParityError
        If onnxruntime refuses the model although it knows the opset.
    """
    try:
        session = open_session(model, constants)
    except Exception as error:  # onnxruntime's own exceptions share no base class
        opset, reason = model.opset_import[0].version, " ".join(str(error).split())
        if opset > onnx.defs.onnx_opset_version() or _runtime_knows(opset):
            raise ParityError(
                f"onnxruntime {onnxruntime.__version__} cannot load the model, which has opset {opset} "
                f"(...{reason[-160:]}). Choose a lower --opset, or install a newer onnxruntime."
            ) from None
        evaluator = _evaluator(inlined(model, constants))
        return Runner(lambda names, feeds: list(evaluator.run(list(names), dict(feeds))), "onnx")
    return Runner(lambda names, feeds: list(session(list(names), dict(feeds))), "onnxruntime")


def open_session(model: onnx.ModelProto, constants: Constants = NO_CONSTANTS) -> RunSession:
    """Load a model into onnxruntime. It copies external constants once."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as exceptions
    values = {
        tensor.name: onnxruntime.OrtValue.ortvalue_from_numpy(
            np.require(constants[tensor.name], requirements=["C", "A"])
        )
        for tensor in external_tensors(model)
    }
    if values:
        options.add_session_config_entry("session.disable_prepacking", "1")  # which would copy all of them again
        options.add_external_initializers(list(values), list(values.values()))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=0
    )
    return partial(_run, session, values)


def _run(
    session: onnxruntime.InferenceSession, in_use: object, names: list[str], feed: dict[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    del in_use  # onnxruntime does not keep alive the arrays that it uses
    return list(session.run(names, feed))


def _runtime_knows(opset: int) -> bool:
    """Return whether the installed onnxruntime loads a model of one node at this opset."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    opsets = [onnx.helper.make_opsetid("", opset)]
    version = onnx.helper.find_min_ir_version_for(opsets)
    graph = onnx.helper.make_graph([node], "one", infos[:1], infos[1:])
    try:
        open_session(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=version))
    except Exception:  # onnxruntime's own exceptions share no base class
        return False
    return True


def _evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model)
