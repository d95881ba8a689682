"""Logs of a training run: metrics, curves, TensorBoard events."""
