"""Nothing that `lifted embed` stores or prints holds a credential, and the servers still get them."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import DataError, ImageError
from serve_cli import ArrowEmbedder
from serve_cli.embed.decoding import Decoding, read_content
from serve_cli.embeddings.reader import read_table
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.network import retry as network
from serve_cli.sources.network import web
from serve_cli.sources.network.circuit_breaker import CircuitBreaker
from serve_cli.sources.network.retry import RetryPolicy
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tables.columns import Columns
from tests.serve_cli.sources.test_tar import write as write_tar
from tests.serve_cli.web_server import WebServer, serving

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("upath", reason="needs universal-pathlib")
pytest.importorskip("aiohttp", reason="needs aiohttp")

pytestmark = pytest.mark.slow

SECRET = "S3CRET"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RETRY_POLICY", RetryPolicy(600, pause_s=0.01))
    monkeypatch.setattr(network, "BREAKER", CircuitBreaker())


def signed(url: str, signature: str = SECRET) -> str:
    """A URL with a user's password and a signature."""
    mark = "&" if "?" in url else "?"
    date = f"X-Amz-Date={signature}&X-Amz-Credential={signature}%2Feu&X-Amz-Signature={signature}"
    return url.replace("://", f"://me:{signature}@") + mark + date


def urls(server: str, dead: str) -> list[str]:
    """Good ones, missing ones and bad ones, with secrets in all of them."""
    good = [signed(f"{server}/cat/{number}.jpg?id={number}") for number in range(3)]
    return [
        *good,
        signed(f"{server}/none.jpg"),
        signed(f"{dead}/a.jpg"),
        signed("htp://host/a.jpg"),
        signed("http:///a.jpg"),
        signed("http://[::1/a.jpg"),
        signed("https:/host/a.jpg"),
        f"https://me:a {SECRET}@host/a.jpg",
        f"https://me:a#{SECRET}@host/a.jpg",
        f"https://me:{SECRET}/x@host/a.jpg",
        f"{server}/none.jpg?token={SECRET} {SECRET}'{SECRET}",
        f"{server}/none\t.jpg?token={SECRET}\n{SECRET}",
        f"s3://KEY:{SECRET}@bucket/a.jpg",
        f"s3://KEY:{SECRET}/{SECRET}@bucket/a.jpg",
        f"simplecache::s3://KEY:{SECRET}@bucket/a.jpg",
        signed(f"simplecache::{server}/none.jpg"),
        f"zip://a.jpg::{signed(f'{dead}/a.zip')}",
    ]


@pytest.fixture
def dead(tmp_path: Path) -> str:
    with serving(tmp_path) as server:
        return server.url


@pytest.fixture
def server(album: Path) -> Any:
    with serving(album) as running:
        yield running


def manifest(path: Path, found: list[str]) -> Path:
    plain = [url if not set(url) & set(" \t\n") else "" for url in found]  # in a text, a URL ends at white space
    pq.write_table(
        pa.table(
            {
                "url": found,
                "label": [f"class of {url}" for url in plain],
                "page": [f"see {url}, please" for url in plain],
                "more": [*([url, "x"] for url in plain[:-1]), None],
            }
        ),
        path,
    )
    return path


def everything(folder: Path) -> str:
    """All that is in a folder, as it lies there and as tables show it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    raw = "".join(path.read_bytes().decode("latin-1") for path in files)
    return raw + "".join(str(read_table(path).to_pylist()) for path in files if path.suffix == ".parquet")


@pytest.mark.parametrize("kind", ["parquet", "npy"])
def test_nothing_stored_or_printed_has_a_secret(
    lifted: Any, model: Path, server: WebServer, dead: str, tmp_path: Path, kind: str
) -> None:
    found = urls(server.url, dead)
    table = manifest(tmp_path / "m.parquet", found)
    command = ["embed", model, table, "--out", tmp_path / "out", "--path-column", "url", "--format", kind, "--json"]
    texts = []
    for more, status in ((["--dry-run"], 0), ([], 3), ([], 3), (["--retry-failed"], 3)):
        done, stdout, stderr = lifted(*command, *more)
        assert done == status, stderr
        texts += [stdout, stderr]
    assert json.loads(texts[2])["failed"] == len(found) - 3
    assert SECRET not in "".join(texts) + everything(tmp_path / "out")
    assert all(SECRET in path and "me:" not in path and authorization for path, authorization in server.authorized[:3])
    ids = open_source(table, Columns(path="url")).names()
    assert [row.id for row in ids][:3] == [f"{server.url}/cat/{number}.jpg?id={number}" for number in range(3)]


def test_resumed_with_new_signatures(lifted: Any, model: Path, server: WebServer, tmp_path: Path) -> None:
    for signature in ("S3CRET1", "S3CRET2"):
        rows = [signed(f"{server.url}/cat/{number}.jpg?id={number}", signature) for number in range(3)]
        table = manifest(tmp_path / "m.parquet", rows)
        done, stdout, stderr = lifted(
            "embed", model, table, "--out", tmp_path / "out", "--path-column", "url", "--json"
        )
        assert done == 0, stderr
    assert json.loads(stdout)["resumed"] == 3


@pytest.mark.parametrize("name", ["list.txt", "m.csv", "m.jsonl", "m.parquet", "s.tar", "cat/0.jpg"])
def test_source_is_stored_without_its_secrets(
    lifted: Any, model: Path, server: WebServer, album: Path, tmp_path: Path, name: str
) -> None:
    link = f"cat/0.jpg?token={SECRET}"
    (album / "list.txt").write_text(link)
    (album / "m.csv").write_text(f"path\n{link}\n")
    (album / "m.jsonl").write_text(json.dumps({"path": link, "n": {"url": signed(server.url)}}))
    pq.write_table(pa.table({"path": [link]}), album / "m.parquet")
    write_tar(album / "s.tar", {"0.jpg": (album / "cat/0.jpg").read_bytes()})
    for out, signature in (("a", SECRET), ("a", f"{SECRET}2")):
        source = signed(f"{server.url}/{name}", signature)
        done, stdout, stderr = lifted("embed", model, source, "--out", tmp_path / out, "--json")
        assert done == 0, stderr
        assert SECRET not in stdout + stderr + everything(tmp_path / out)
    assert json.loads(stdout)["resumed"] == 1
    paths = [row["path"] for row in read_table(tmp_path / "a" / "part-00000.parquet").to_pylist()]
    assert paths == [f"{server.url}/{'s.tar/0.jpg' if name == 's.tar' else 'cat/0.jpg'}"]


def test_errors_of_a_source(lifted: Any, model: Path, server: WebServer, dead: str, tmp_path: Path) -> None:
    for source in (
        *urls(server.url, dead)[3:],
        signed(f"{server.url}/none.csv"),
        signed(f"{server.url}/cat"),
        signed("what://x"),
    ):
        done, stdout, stderr = lifted("embed", model, source, "--out", tmp_path / "out")
        assert (done, stdout) == (1, ""), source
        assert SECRET not in stderr
        assert stderr.startswith("lifted: error: ")
        assert stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_words_of_the_command_line_are_not_printed_with_secrets(lifted: Any, tmp_path: Path, model: Path) -> None:
    url = signed("https://host/a.txt")
    usage = ([model, "photos", url], [model, url, "--engine", url], [model, url, f"--{url}"], [url])
    for words in ([url, model], [model, "photos", "--out", url], *usage):
        done, stdout, stderr = lifted("embed", "--out", tmp_path / "out", *words)
        assert done == (2 if words in usage else 1), words
        assert SECRET not in stdout + stderr


def test_tracebacks_have_no_secrets(server: WebServer, dead: str, tmp_path: Path) -> None:
    for url in urls(server.url, dead)[3:]:
        (tmp_path / "m.jsonl").write_text(json.dumps({"path": url}))
        (row,) = open_source(tmp_path / "m.jsonl")
        assert SECRET not in repr((row.id, row.path))
        with pytest.raises(ImageError) as caught:
            read_content(row, Decoding(1, image_timeout=30))
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        with pytest.raises(DataError) as refused:
            open_source(url)
        assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_words_of_a_library_have_no_secrets(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise OSError(f"no header for me:{SECRET} with {SECRET}ACCESSKEY at {signed('https://other')}")

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}ACCESSKEY")
    monkeypatch.setattr(web, "_ask", refuse)
    with pytest.raises(ImageError, match=r"\(no header for \*\*\* with \*\*\* at https://other\)"):
        read_image_bytes(signed(f"{server.url}/cat/0.jpg"))


@pytest.mark.parametrize("carried", [True, False])
def test_arrow_batches(model: Path, server: WebServer, dead: str, carried: bool) -> None:
    found = urls(server.url, dead)
    table = pa.table({"path": found, "page": [signed("https://host/a.jpg?id=3")] * len(found)})
    embed = ArrowEmbedder(model, carried=table.schema.remove(0) if carried else None)
    rows = pa.Table.from_batches(embed(table.to_batches(4)), embed.schema).to_pylist()
    assert SECRET not in str(rows)
    assert [row["error"] is None for row in rows] == [True] * 3 + [False] * (len(found) - 3)
    if carried:
        assert {row["page"] for row in rows} == {"https://host/a.jpg?id=3"}
