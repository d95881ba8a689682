"""Loads that are killed at random moments lose no row, repeat none, and change no table that readers see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("psycopg", reason="loading into PostgreSQL needs psycopg")

from serve_cli.retrieval.load.load import load_embeddings
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.targets.postgres.target import PostgresTarget
from tests.serve_cli.retrieval.index.catalogs import write_embeddings
from tests.serve_cli.retrieval.load.catalogs import drawn

RUNNER = Path(__file__).with_name("kill_load.py")


def killed_loads(folder, database, kills, seed, batch_rows):
    """Run loads that are killed; return the signal that ended each, 0 for a load that was done."""
    root = str(Path(__file__).parents[4])
    command = [sys.executable, RUNNER, str(kills), str(seed), str(batch_rows), "load", folder, "--to", database]
    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True, timeout=250
    )
    return [int(line.split()[1]) for line in run.stdout.splitlines()]


def rows_of(sql):
    return sql.execute("SELECT id, price, embedding::real[] FROM emb ORDER BY price", binary=True).fetchall()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
@pytest.mark.parametrize(
    ("rows", "kills", "batch_rows"), [(60, 3, 5), pytest.param(10_000, 10, 500, marks=pytest.mark.slow)]
)
def test_every_id_once_and_none_lost(tmp_path, database, sql, monkeypatch, rows, kills, batch_rows):
    load_embeddings(LoadOptions(write_embeddings(tmp_path / "old" / "emb", drawn(30)), database))
    before = rows_of(sql)
    vectors = drawn(rows, 16, seed=1)
    folder = write_embeddings(tmp_path / "new" / "emb", vectors)
    left, seed = kills, 0
    while left:
        ends = killed_loads(folder, database, left, seed, batch_rows)
        left, seed = left - sum(end == 9 for end in ends), seed + 1
        assert set(ends) <= {0, 9}
        if 0 not in ends:
            assert rows_of(sql) == before
            continue
        assert len(rows_of(sql)) == rows  # it was done between two kills: begin again
        sql.execute("DROP TABLE emb")
        if left:
            load_embeddings(LoadOptions(tmp_path / "old" / "emb", database))
    monkeypatch.setattr(PostgresTarget, "batch_rows", batch_rows)
    load_embeddings(LoadOptions(folder, database))
    found = rows_of(sql)
    assert [row[:2] for row in found] == [(f"{i}.jpg", i) for i in range(rows)]
    assert np.array_equal(np.array([row[2] for row in found], np.float32), vectors)
    names = sql.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
    assert names.fetchall() == [("emb",)]
