"""Import onnx and onnxruntime for this package, or say how to install them."""

import os

from gluon_lifted.errors import MissingPackageError
from gluon_lifted.extras import install_command

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.31 sends telemetry to Microsoft unless this is set
try:
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf comes with onnx
except ModuleNotFoundError as error:
    if error.name not in ("onnx", "onnxruntime"):
        raise
    raise MissingPackageError(
        f"{error.name} is not installed, and exporting needs it. Install it: `{install_command('export')}`"
    ) from None

__all__ = ["DecodeError", "onnx", "onnxruntime"]
