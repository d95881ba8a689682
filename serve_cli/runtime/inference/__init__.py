"""A model in onnxruntime: devices, sessions, lanes; what it costs, and its precision."""
