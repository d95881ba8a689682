"""`lifted load` on the command line."""

import json

import pytest

from tests.serve_cli.retrieval.index.catalogs import write_embeddings
from tests.serve_cli.retrieval.load.catalogs import drawn


def test_a_load(lifted, emb, database, sql):
    write_embeddings(emb, drawn(20), failed=(3,))
    status, out, err = lifted("load", emb, "--to", database, "--table", "photos", "--columns", "price", "--dry-run")
    assert (status, err) == (3, "")
    assert "create public.photos" in out
    assert "id text, price bigint, embedding vector(4)" in out
    assert "1 without an embedding" in out
    status, out, _ = lifted("load", emb, "--to", database, "--table", "photos", "--columns", "price", "--json")
    report = json.loads(out)
    assert (status, report["rows"], report["failed"], report["compared"]) == (3, 19, 1, 19)
    assert sql.execute("SELECT count(*), sum(price) FROM photos").fetchone() == (19, sum(range(20)) - 3)
    status, out, _ = lifted("load", emb, "--to", database, "--table", "photos", "--columns", "price")
    assert status == 3
    assert "nothing: public.photos already holds these embeddings" in out


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:s3cret@host/db", "--to is mysql://; expected a URL that starts with postgresql://, postgres://"),
        ("me:s3cret@host/db", "--to is not a URL"),
        ("postgresql://me:s3cret/s3cret@host/db", "not a valid URL for PostgreSQL"),
        ("postgresql://me:s3cret@127.0.0.1:1/db", "PostgreSQL at 127.0.0.1:1, database db"),
        ("postgresql://127.0.0.1:1/db?user=me&password=s3cret", "PostgreSQL at 127.0.0.1:1, database db"),
    ],
)
def test_no_error_shows_a_password(lifted, emb, url, message):
    pytest.importorskip("psycopg", reason="loading into PostgreSQL needs psycopg")
    status, out, err = lifted("load", write_embeddings(emb, drawn(2)), "--to", url)
    assert (status, out) == (1, "")
    assert message in err
    assert "s3cret" not in err
    assert err.count("\n") == 1
