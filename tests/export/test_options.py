from __future__ import annotations

import pytest

from export import ExportOptions
from gluon_lifted.errors import ConfigError


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), float("inf")])
def test_tolerance_that_proves_nothing_is_refused(tolerance: float) -> None:
    with pytest.raises(ConfigError, match="expected a positive number"):
        ExportOptions(tolerance=tolerance)


def test_opset_that_is_not_available_is_refused() -> None:
    with pytest.raises(ConfigError, match="opset 5 cannot be written"):
        ExportOptions(opset=5)
