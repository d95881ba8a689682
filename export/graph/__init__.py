"""The ONNX graph under construction, and the MXNet nodes and attributes that translators read."""
