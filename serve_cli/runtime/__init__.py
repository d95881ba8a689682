"""What the commands call: images -> onnxruntime -> embedding files -> recall."""
