from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' workers share the cores
settings.register_profile("busy host", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy host")
LONGEST = {"test_readme.py", "test_trust.py", "test_limits.py", "test_train_line.py"}


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' models out of the user's own cache folder, and onnxruntime from reporting its use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORT_DISABLE_TELEMETRY", "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
