import random

from tests.export.fuzz import attempt


def test_damaged_files_end_in_a_model_or_in_our_errors() -> None:
    found = {attempt(random.Random(seed)) for seed in range(3000)}
    assert found == {"refused", "translated"}
