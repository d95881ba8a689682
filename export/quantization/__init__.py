"""Quantize models to int8: calibration images, activation ranges, quantized weights."""
