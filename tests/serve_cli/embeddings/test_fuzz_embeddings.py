import os
import random
from collections import Counter

import numpy as np
import pytest

from serve_cli import read_embeddings
from tests.serve_cli.embeddings.fuzz_embeddings import (
    KINDS,
    Children,
    attempt,
    check,
    good_files,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("layout", "dtype"), KINDS)
def test_what_is_damaged_is_good_before(tmp_path, layout, dtype):
    for name, content in good_files(layout, dtype).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = read_embeddings(tmp_path)
    check(found)
    assert (len(found.ids), int(np.isnan(found.embedding).any(axis=1).sum())) == (10, 2)


@pytest.mark.filterwarnings("error")
def test_damaged_folders_end_in_embeddings_or_in_our_errors(capsys):
    found = Counter(attempt(random.Random(seed)) for seed in range(300))
    assert found.keys() == {"read", "refused"}
    assert found["refused"] > 50


def test_a_seed_that_ends_the_process_is_found(monkeypatch):
    monkeypatch.setattr("tests.serve_cli.embeddings.fuzz_embeddings.attempt", lambda rng: os._exit(7))
    children = Children()
    for seed in range(2):
        with pytest.raises(RuntimeError, match="ended with status 7"):
            children(random.Random(seed))
    monkeypatch.setattr("tests.serve_cli.embeddings.fuzz_embeddings.attempt", lambda rng: 1 // 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        children(random.Random(3))
