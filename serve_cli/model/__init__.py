"""An exported model in onnxruntime: the Embedder, its devices and sessions, and its tuning."""
