"""ONNX files that other programs exported, made into models that embed images."""
