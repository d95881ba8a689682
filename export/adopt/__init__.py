"""Turn ONNX files exported by other programs into models that embed images."""
