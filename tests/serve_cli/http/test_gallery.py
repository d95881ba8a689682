"""Pictures of rows: only below the source that the embeddings name, whatever an index says."""

import io
import json
import os
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.images import DecodeLimits
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.http.gallery import Gallery, ThumbnailCache
from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.update import add_rows
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.http.parsing.refusals import refused
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import CARD


@pytest.fixture
def gallery_of(tmp_path):
    def make(paths, source):
        rows = [ImageRow(f"id {number}", str(path), "x") for number, path in enumerate(paths)]
        embedding = np.arange(len(rows) * CARD.dim, dtype=np.float32).reshape(len(rows), CARD.dim)
        write_folder(tmp_path / "emb", [EmbeddedRows(rows, embedding, [None] * len(rows))], source=source)
        build_index(tmp_path / "emb", tmp_path / "index")
        return Gallery(CatalogIndex.open(tmp_path / "index"), DecodeLimits())

    return make


def size_of(content):
    return Image.open(io.BytesIO(content)).size


def test_pictures_below_the_source_alone(tmp_path, gallery_of):
    inside, outside = photo(tmp_path / "photos/a.png"), photo(tmp_path / "other/b.png")
    (tmp_path / "photos/text.png").write_text("no image")
    (tmp_path / "photos/link.png").symlink_to(outside)
    os.mkfifo(tmp_path / "photos/pipe.png")
    paths = [inside, outside, f"{tmp_path}/photos/../other/b.png", tmp_path / "photos/link.png", "/etc/passwd"]
    paths += [tmp_path / "photos/text.png", tmp_path / "photos/missing.png", tmp_path / "photos", "http://a/b.png"]
    paths += ["a.png", "", "\0", tmp_path / "photos/pipe.png", "file:///etc/passwd", f"{tmp_path}/photos/x.tar/a.png"]
    gallery = gallery_of(paths, tmp_path / "photos")
    assert size_of(gallery.thumbnail("id 0", 64)) == (64, 48)
    for number in range(1, len(paths)):
        with refused(404, f"'id {number}' cannot be shown"):
            gallery.thumbnail(f"id {number}", 64)
    with refused(404, "no row with the id 'id 99'"):
        gallery.thumbnail("id 99", 64)


def test_a_source_that_would_expose_the_computer(tmp_path, gallery_of):
    gallery = gallery_of([photo(tmp_path / "photos/a.png")], "/")
    with refused(404, "cannot be shown"):
        gallery.thumbnail("id 0", 64)


def test_pictures_that_moved_and_embeddings_that_are_gone(tmp_path, gallery_of):
    inside = photo(tmp_path / "photos/a.png")
    gallery = gallery_of([inside], tmp_path / "photos")
    kept = gallery.thumbnail("id 0", 64)
    inside.unlink()
    assert gallery.thumbnail("id 0", 64) == kept
    with refused(404, "cannot be shown"):
        gallery.thumbnail("id 0", 65)
    for file in (tmp_path / "emb").iterdir():
        file.unlink()
    photo(tmp_path / "photos/a.png")
    fresh = Gallery(CatalogIndex.open(tmp_path / "index"), DecodeLimits())
    with refused(404, "cannot be shown"):
        fresh.thumbnail("id 0", 64)


def test_a_damaged_manifest(tmp_path, gallery_of):
    gallery_of([photo(tmp_path / "photos/a.png")], tmp_path / "photos")
    manifest = tmp_path / "emb" / MANIFEST
    for source in (5, ["/"], None, "x" * 10_000, "\0"):
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "source": source}))
        with refused(404, "cannot be shown"):
            Gallery(CatalogIndex.open(tmp_path / "index"), DecodeLimits()).thumbnail("id 0", 64)


def test_pictures_in_tar_files(tmp_path, gallery_of):
    image = photo(tmp_path / "a.png", width=20, height=40)
    (tmp_path / "shards").mkdir()
    shard = tmp_path / "shards/s.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(image, "a.png")
    gallery = gallery_of([f"{shard}/a.png", f"{shard}/b.png", f"{tmp_path}/none.tar/a.png"], tmp_path / "shards")
    assert size_of(gallery.thumbnail("id 0", 64)) == (32, 64)
    for number in (1, 2):
        with refused(404, "cannot be shown"):
            gallery.thumbnail(f"id {number}", 64)


def test_threads_at_the_same_time(tmp_path, gallery_of):
    gallery = gallery_of([photo(tmp_path / f"photos/{number}.png", number) for number in range(4)], tmp_path / "photos")
    results = {}

    def ask(number):
        results[number] = gallery.thumbnail(f"id {number % 4}", 32)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] == results[number % 4] for number in range(16)] == [True] * 16


def test_the_cache_is_bounded():
    cache = ThumbnailCache(10)
    for row in range(3):
        cache.put((row, 64), b"1234")
    assert [cache.get((row, 64)) for row in range(3)] == [None, b"1234", b"1234"]
    cache.get((1, 64))
    cache.put((3, 64), b"1234")
    assert [cache.get((row, 64)) is None for row in range(4)] == [True, False, True, False]
    cache.put((1, 64), b"1")
    cache.put((4, 64), b"12345")
    assert cache.get((3, 64)) == b"1234"
    cache.put((5, 64), b"x" * 11)
    assert cache.get((5, 64)) is None
    cache.put((6, 64), b"x" * 10)
    assert cache.get((6, 64)) == b"x" * 10


def test_rows_that_were_added_have_the_source_of_their_own_embeddings(tmp_path):
    """The first folder is no source of the second's rows, nor the second of the first's."""
    for number, folder in enumerate("ab"):
        photo(tmp_path / folder / "photo.png", number)
        paths = [tmp_path / folder / "photo.png", tmp_path / "ba"[number] / "photo.png"]
        rows = [ImageRow(f"{folder}{index}", str(path), "x") for index, path in enumerate(paths)]
        embedding = np.full((2, CARD.dim), number, np.float32)
        embedding[1] += 0.5
        write_folder(tmp_path / f"emb {folder}", [EmbeddedRows(rows, embedding, [None] * 2)], source=tmp_path / folder)
    build_index(tmp_path / "emb a", tmp_path / "index")
    add_rows(tmp_path / "index", tmp_path / "emb b")
    gallery = Gallery(CatalogIndex.open(tmp_path / "index"), DecodeLimits())
    assert len({gallery.thumbnail("a0", 64), gallery.thumbnail("b0", 64)}) == 2
    for name in ("a1", "b1"):
        with refused(404, "cannot be shown"):
            gallery.thumbnail(name, 64)
