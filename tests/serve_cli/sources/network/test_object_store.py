"""Sources in an object store: moto's S3 on loopback, a server of its own."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import DataError, ImageError, UnreachableError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.network import retry as network
from serve_cli.sources.network.circuit_breaker import FAILURES, CircuitBreaker
from serve_cli.sources.network.retry import time_limit
from serve_cli.sources.resolve import open_source
from tests.serve_cli.photos import broken_photos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("upath", reason="needs universal-pathlib")
pytest.importorskip("s3fs", reason="needs s3fs")
server = pytest.importorskip("moto.server", reason="needs moto[server]")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint: str, album: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``s3://shop`` with the album's photographs, some of them broken, below ``photos``."""
    import s3fs

    broken_photos(album / "cat")
    (album / "cat" / "nowhere.jpg").unlink()  # a link, which a store has none of
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    if store.exists("shop"):
        store.rm("shop", recursive=True)
    store.mkdir("shop")
    for path in album.rglob("*.*"):
        store.pipe(f"shop/photos/{path.relative_to(album).as_posix()}", path.read_bytes())
    store.pipe("shop/photos/.hidden/x.jpg", b"x")
    store.pipe("shop/photos/notes.txt", b"x")
    yield "s3://shop"
    s3fs.S3FileSystem.clear_instance_cache()


def put(name: str, content: bytes) -> None:
    import s3fs

    s3fs.S3FileSystem().pipe(name, content)


def embedded(model: Path, source: str | Path, out: Path) -> list[tuple[str, str | None, bool, list[float]]]:
    embed_images(EmbedOptions(model=model, source=source, out=out, model_options=ModelOptions(batch_size=3)))
    found = read_embeddings(out)
    return [
        (name, label, error is None, row.tolist() if error is None else [])
        for name, label, error, row in zip(found.ids, found.label_names, found.errors, found.embedding, strict=True)
    ]


def test_folder_gives_the_rows_of_the_local_one(model: Path, album: Path, bucket: str, tmp_path: Path) -> None:
    remote = embedded(model, f"{bucket}/photos", tmp_path / "remote")
    assert remote == embedded(model, album, tmp_path / "local")
    assert len(remote) == 16
    assert read_embeddings(tmp_path / "remote").paths[0].startswith("s3://shop/photos/cat/")
    again = embed_images(
        EmbedOptions(
            model=model, source=f"{bucket}/photos", out=tmp_path / "remote", model_options=ModelOptions(batch_size=3)
        )
    )
    assert again.resumed == 16


def test_lists_and_manifests(model: Path, album: Path, bucket: str, tmp_path: Path) -> None:
    names = ["cat/0.jpg", "dog/1.jpg", "cat/none.jpg"]
    put("shop/photos/list.txt", "\n".join(names).encode())
    put("shop/m.csv", "\n".join(["path,label", *(f"photos/{name},x" for name in names)]).encode())
    put("shop/m.jsonl", "".join(f'{{"path": "s3://shop/photos/{name}"}}\n' for name in names).encode())
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"], "bytes": [(album / name).read_bytes() for name in names[:2]]}), table)
    put("shop/m.parquet", table.getvalue())
    (tmp_path / "list.txt").write_text("\n".join(names))
    (tmp_path / "local.txt").write_text("\n".join(str(album / name) for name in names))
    expected = [row[2:] for row in embedded(model, tmp_path / "local.txt", tmp_path / "local")]
    for number, source in enumerate(("photos/list.txt", "m.csv", "m.jsonl", "m.parquet")):
        found = [row[2:] for row in embedded(model, f"{bucket}/{source}", tmp_path / str(number))]
        assert found == expected[: len(found)]
        assert len(found) == (2 if source == "m.parquet" else 3)


def test_tar_shards(model: Path, album: Path, bucket: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for path in sorted(album.rglob("*.*")):
            archive.add(path, path.relative_to(album).as_posix())
    put("shop/shards/s.tar", (tmp_path / "s.tar").read_bytes())
    remote = embedded(model, f"{bucket}/shards", tmp_path / "remote")
    assert remote == embedded(model, tmp_path / "s.tar", tmp_path / "local")
    assert remote == embedded(model, f"{bucket}/shards/s.tar", tmp_path / "one")


def test_patterns(model: Path, album: Path, bucket: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for path in sorted((album / "dog").glob("*.jpg")):
            archive.add(path, path.name)
    table = io.BytesIO()
    pq.write_table(pa.table({"bytes": [path.read_bytes() for path in sorted((album / "dog").glob("*.jpg"))]}), table)
    for number in range(2):
        put(f"shop/data/{number}/s.tar", (tmp_path / "s.tar").read_bytes())
        put(f"shop/data/{number}.parquet", table.getvalue())
    put("shop/data/x[1].csv", b"path\n../photos/dog/0.jpg\n")
    source = open_source(f"{bucket}/photos/*/[01].jpg")
    assert [(row.id, row.label) for row in source] == [
        (f"{kind}/{number}.jpg", kind) for kind in ("cat", "dog", "eel") for number in range(2)
    ]
    assert (source.root, [row.id for row in source.rows(5)]) == ("s3://shop/photos/*/[01].jpg", ["eel/1.jpg"])
    expected = [row[3] for row in embedded(model, album / "dog", tmp_path / "local")]
    for number, name in enumerate(("data/**/s.tar", "data/[0-9].parquet", "photos/dog/?.jpg")):
        found = [row[3] for row in embedded(model, f"{bucket}/{name}", tmp_path / str(number))]
        assert found == (expected if "photos" in name else expected * 2)
    assert [row.id for row in open_source(f"{bucket}/data/1")] == [f"s.tar/{number}.jpg" for number in range(4)]
    assert open_source(f"{bucket}/data/x[1].csv").count() == 1
    assert next(open_source(f"{bucket}/data/?.parquet").rows(6)).id == "6"


def test_what_is_not_there_is_named(bucket: str) -> None:
    put("shop/tables/a/b.parquet", b"")
    for source, message in [
        ("none", "no such file or folder"),
        ("none.csv", "no such file or folder"),
        ("photos/notes.txt/x", "no such file or folder"),
        ("photos/*/none*.jpg", "no such file or folder, and as a pattern it matches no file below s3://shop/photos"),
        ("nothing/*.jpg", "no such file or folder, and as a pattern it matches no file below s3://shop/nothing"),
        ("tables", "no images found.*It contains a/b.parquet; .* give 's3://shop/tables/.*parquet'"),
        ("photos/notes.txt.gz", "no such file"),
    ]:
        with pytest.raises(DataError, match=f"{re.escape(f's3://shop/{source}')}: {message}"):
            open_source(f"{bucket}/{source}")
    with pytest.raises(DataError, match="s3://nothing/x: no such file"):
        open_source("s3://nothing/x")
    with pytest.raises(DataError, match=r"what://x: cannot be reached .*pip install .*\[remote\]"):
        open_source("what://x")


def test_image_that_vanishes_fails_alone(bucket: str) -> None:
    import s3fs

    rows = list(open_source(f"{bucket}/photos/dog"))
    s3fs.S3FileSystem().rm("shop/photos/dog/1.jpg")
    assert [row.id for row in rows] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert all(row.content is not None for row in rows)
    with pytest.raises(ImageError, match=r"s3://shop/photos/dog/1\.jpg: cannot be read \(no such file\)"):
        rows[1].content()  # type: ignore[misc]
    assert rows[2].content()[:2] == b"\xff\xd8"  # type: ignore[misc]
    with pytest.raises(ImageError, match=r"s3://shop/photos/dog: cannot be read \(it is a folder\)"):
        read_image_bytes("s3://shop/photos/dog")


def test_silent_store_is_not_waited_for(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    async def wait(*_: Any, **__: Any) -> None:
        tried.append(1)
        await asyncio.sleep(3600)

    tried: list[int] = []
    monkeypatch.setattr(network, "BREAKER", CircuitBreaker())
    with monkeypatch.context() as silent:
        silent.setattr(s3fs.S3FileSystem, "_cat_file", wait)
        while not network.BREAKER.is_down("s3://shop"):
            with time_limit(0.5), pytest.raises(UnreachableError, match=r"dog/0\.jpg: .*not complete after 0\.5 s"):
                read_image_bytes(f"{bucket}/photos/dog/0.jpg", 0, 10)
        with time_limit(300), pytest.raises(UnreachableError, match="s3://shop is down"):
            read_image_bytes(f"{bucket}/photos/dog/1.jpg", 0, 10)
    assert len(tried) <= FAILURES
    assert len(read_image_bytes(f"{bucket}/photos/dog/0.jpg", 0, 10)) == 10
    for name in range(2 * FAILURES):  # what is missing does not count
        with time_limit(300), pytest.raises(ImageError, match="no such file"):
            read_image_bytes(f"{bucket}/photos/none-{name}.jpg")
    with time_limit(300):
        assert read_image_bytes(f"{bucket}/photos/dog/0.jpg")


def test_store_that_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(network, "BREAKER", CircuitBreaker(failures=1))
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    for message in ("[Cc]onnect", "s3://shop is down"):
        with time_limit(300), pytest.raises(UnreachableError, match=message):
            read_image_bytes(f"{bucket}/photos/dog/0.jpg")
