"""MXNet files -> ONNX: read symbol and parameters without MXNet, translate, fold, verify, write."""

from gluon_lifted.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ExportOptions": "options",
        "ExportReport": "options",
        "MalformedModelError": "errors",
        "Parity": "parity",
        "ParityError": "errors",
        "Reference": "reader.reference",
        "UnsupportedAttributeError": "errors",
        "UnsupportedOpError": "errors",
        "add_provenance": "provenance",
        "calibration_images": "quantization.calibration",
        "export_network": "pipeline",
        "export_run": "pipeline",
        "offset_weights": "quantization.amx_weights",
        "read_reference": "reader.reference",
        "verify_file": "pipeline",
    },
)
