import random

import pytest

from tests.export.fuzz import attempt

pytestmark = pytest.mark.slow


def test_damaged_files_end_in_a_model_or_in_our_errors() -> None:
    outcomes = {attempt(random.Random(seed)) for seed in range(2000)}
    assert outcomes == {"refused", "translated", "card refused", "card added"}
