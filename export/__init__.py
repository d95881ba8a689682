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
        "Reference": "reference",
        "UnsupportedAttributeError": "errors",
        "UnsupportedOpError": "errors",
        "add_provenance": "provenance",
        "calibration_images": "calibration",
        "export_network": "pipeline",
        "export_run": "pipeline",
        "offset_weights": "tiles",
        "read_reference": "reference",
        "verify_file": "pipeline",
    },
)
