import random

import pytest

from tests.serve_cli.sources.fuzz_sources import attempt

pytestmark = pytest.mark.slow


def test_damaged_sources_end_in_rows_or_in_our_errors() -> None:
    found = {attempt(random.Random(seed)) for seed in range(600)}
    assert found == {"refused", "read"}
