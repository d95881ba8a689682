"""Sources in Google's storage: an emulator of it on loopback."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import DataError, ImageError
from serve_cli.sources.resolve import open_source
from tests.serve_cli.sources.test_tar import write as write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
pytest.importorskip("upath", reason="needs universal-pathlib")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # its gRPC, which no emulator speaks
    gcsfs = pytest.importorskip("gcsfs", reason="needs gcsfs")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """``gs://shop`` with a few files; each holds its own name."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="shop")
    running.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    gcsfs.GCSFileSystem.clear_instance_cache()
    store = gcsfs.GCSFileSystem()
    for name in ("photos/cat/0.jpg", "photos/cat/1.jpg", "photos/dog/0.jpg", "photos/.x/0.jpg"):
        store.pipe(f"shop/{name}", name.encode())
    store.pipe("shop/list.txt", b"photos/cat/0.jpg\nphotos/none.jpg")
    store.pipe("shop/shards/s.tar", write_tar(tmp_path / "s.tar", {"a.jpg": b"one", "b.jpg": b"two"}).read_bytes())
    yield "gs://shop"
    gcsfs.GCSFileSystem.clear_instance_cache()
    running.stop()


def test_sources_in_google_storage(bucket: str) -> None:
    for source in ("photos", "photos/**", "photos/*/[01].jpg"):
        rows = list(open_source(f"{bucket}/{source}"))
        assert [(row.id, row.label) for row in rows] == [
            ("cat/0.jpg", "cat"),
            ("cat/1.jpg", "cat"),
            ("dog/0.jpg", "dog"),
        ]
        assert [row.content() for row in rows if row.content][1:] == [b"photos/cat/1.jpg", b"photos/dog/0.jpg"]
    for source in ("shards", "shards/s.tar", "**/*.tar"):
        assert [row.content() for row in open_source(f"{bucket}/{source}") if row.content] == [b"one", b"two"]
    there, missing = open_source(f"{bucket}/list.txt")
    assert there.content
    assert there.content() == b"photos/cat/0.jpg"
    with pytest.raises(ImageError, match=r"gs://shop/photos/none\.jpg: cannot be read \(no such file\)"):
        missing.content()  # type: ignore[misc]
    with pytest.raises(DataError, match="gs://shop/none: no such file or folder"):
        open_source(f"{bucket}/none")
