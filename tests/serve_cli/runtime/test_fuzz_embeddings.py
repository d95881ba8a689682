import random
from collections import Counter

import numpy as np
import pytest

from serve_cli import read_embeddings

from .fuzz_embeddings import KINDS, Children, attempt, check, good_files


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
    found = Counter(attempt(random.Random(seed)) for seed in range(600))
    assert found.keys() == {"read", "refused"}
    assert found["refused"] > 100


def test_a_seed_that_ends_the_process_is_found(monkeypatch):
    def end(rng):
        import os

        os._exit(7) if rng.random() < 0.2 else None
        return "read"

    monkeypatch.setattr("tests.serve_cli.runtime.fuzz_embeddings.attempt", end)
    children, ended = Children(), 0
    for seed in range(30):
        try:
            children(random.Random(seed))
        except RuntimeError as error:
            assert "ended with status 7" in str(error)
            ended += 1
    assert 0 < ended < 20
