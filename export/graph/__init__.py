"""The ONNX graph while it is being built, and the nodes and attributes that it is built from."""
