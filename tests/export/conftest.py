from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MISSING = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Skip the folder where the modules under test could not be imported."""
    del module_path, parent
    if MISSING:
        pytest.skip(f"{' and '.join(MISSING)} not installed", allow_module_level=True)
