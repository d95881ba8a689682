"""Cases of operators on several inputs of any shape and type."""

from __future__ import annotations

from tests.export.detection_cases import DETECTION_CASES

ARRAY_CASES = [*DETECTION_CASES]
