"""The one import of onnx and onnxruntime by this package, or the message that says how to get them."""

import os

from gluon_lifted.errors import MissingPackageError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.31 reports its use to Microsoft unless it is set
try:
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf comes with onnx
except ModuleNotFoundError as error:
    if error.name not in ("onnx", "onnxruntime"):
        raise
    raise MissingPackageError(
        f"{error.name} is not installed; exporting needs it: pip install 'gluon-lifted[export]'."
    ) from None

__all__ = ["DecodeError", "onnx", "onnxruntime"]
