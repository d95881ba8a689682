"""The names that options of the export choose from. Imports nothing heavy, so that `lifted --help` stays instant."""

from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]
CalibrationMethod = Literal["minmax", "percentile"]
