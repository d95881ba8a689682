"""The names that options of the export choose from, each declared once; nothing heavy is imported here."""

from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]
CalibrationMethod = Literal["minmax", "percentile"]
