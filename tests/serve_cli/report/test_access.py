"""A folder of embeddings names the pictures of its report; a stranger may have written it."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.report.access import (
    Access,
    Fetcher,
    Reason,
    WithheldError,
    source_root,
)
from serve_cli.report.thumbnails import read_thumbnails
from serve_cli.report.write import write_report
from serve_cli.sources.image_row import EmbeddedRows, ImageRow
from tests.serve_cli.embedded import write_folder
from tests.serve_cli.photos import photo
from tests.serve_cli.report.test_write import options
from tests.serve_cli.web_server import serving


def reasons(paths, access):
    """The outcome of each path, read alone: a reason, or None for a picture."""
    outcomes = []
    for path in paths:
        thumbnails = read_thumbnails([str(path)], [0], access)
        outcomes.append(None if thumbnails.pictures else next(iter(thumbnails.not_shown)))
    return outcomes


@pytest.fixture
def tree(tmp_path):
    """``photos`` with pictures and links, and ``secret`` beside it."""
    photo(tmp_path / "photos/a/1.jpg")
    photo(tmp_path / "secret/2.jpg")
    photo(tmp_path / "photos-old/3.jpg")
    (tmp_path / "photos/inside.jpg").symlink_to("a/1.jpg")
    (tmp_path / "photos/out.jpg").symlink_to("../secret/2.jpg")
    (tmp_path / "photos/folder").symlink_to("../secret")
    (tmp_path / "photos/circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "photos/zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "photos/pipe.jpg")
    (tmp_path / "photos/text.jpg").write_text("root:x:0:0")
    (tmp_path / "link").symlink_to("photos")
    return tmp_path


OUTCOMES = {
    "photos/a/1.jpg": None,
    "photos/../photos/a/../a/1.jpg": None,
    "link/a/1.jpg": None,
    "photos/inside.jpg": None,
    "photos/out.jpg": Reason.outside,
    "photos/folder/2.jpg": Reason.outside,
    "photos/../secret/2.jpg": Reason.outside,
    "photos/a/../../secret/2.jpg": Reason.outside,
    "photos-old/3.jpg": Reason.outside,
    "secret/2.jpg": Reason.outside,
    "photos/zero.jpg": Reason.outside,
    "photos/circle.jpg": Reason.unreadable,
    "photos/pipe.jpg": Reason.unreadable,
    "photos/text.jpg": Reason.unreadable,
    "photos/a": Reason.unreadable,
    "photos/gone.jpg": Reason.unreadable,
    "photos/nul\0.jpg": Reason.unreadable,
    "photos/" + "x" * 5000: Reason.unreadable,
}


@pytest.mark.parametrize("root", ["photos", "link"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_local_pictures_are_read_below_the_source_alone(tree, root, scheme):
    access = Access(str(tree / root))
    assert reasons([f"{scheme}{tree}/{name}" for name in OUTCOMES], access) == list(OUTCOMES.values())


def test_roots_take_the_place_of_the_source(tree):
    access = Access(str(tree / "photos"), [tree / "secret", tree / "photos-old"])
    paths = [tree / name for name in ("photos/a/1.jpg", "photos/out.jpg", "secret/2.jpg", "photos-old/3.jpg")]
    assert reasons(paths, access) == [Reason.outside, None, None, None]
    with pytest.raises(ConfigError, match="no such folder; give --root a folder of images"):
        Access("/", [tree / "none"])
    with pytest.raises(ConfigError, match="no such folder"):
        Access("/", [tree / "secret/2.jpg"])


def test_relative_paths_are_those_of_this_process(tree, monkeypatch):
    monkeypatch.chdir(tree)
    access = Access(str(tree / "photos"))
    assert reasons(["photos/a/1.jpg", "secret/2.jpg", "../../etc/hostname"], access) == [
        None,
        Reason.outside,
        Reason.outside,
    ]


SOURCES = ["/", "//", "/home", "/root", "/etc", "/etc/ssl", "/proc", "/proc/self/root", "/sys", "/dev", "/usr/share"]
SOURCES += ["/etc/passwd", "/*", "/*/*.jpg", "/var", "/run", "/photos/../etc", "", ".", "photos", "../..", None, 3]
SOURCES += [
    ["/photos"],
    {},
    True,
    "s3://bucket/folder",
    "https://host/a.jpg",
    "memory://",
    "simplecache::file:///photos",
]
SOURCES += ["file:///", "file:///etc", "file://host/photos", "/a\0b", "/" + "x" * 5000]


@pytest.mark.parametrize("source", SOURCES)
def test_sources_that_would_open_up_much_or_nothing(source):
    assert source_root(source) is None
    access = Access(source)
    assert access.roots == ()
    assert reasons(["/etc/hostname"], access) == [Reason.outside]


def test_home_folders_and_what_holds_them(tmp_path, monkeypatch):
    home = tmp_path / "users" / "me"
    photo(home / "Pictures/1.jpg")
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "elsewhere").symlink_to(home)
    (home / "list.txt").write_text("Pictures/1.jpg")
    for source in (home, home.parent, tmp_path, tmp_path / "elsewhere", home / "list.txt", home / "Pictures/.."):
        assert source_root(str(source)) is None
    assert source_root(str(home / "Pictures")) == home / "Pictures"
    assert reasons([home / "Pictures/1.jpg"], Access(str(home), [home])) == [None]


def test_the_folder_that_a_source_is_in(tree):
    (tree / "photos/list.txt").write_text("a/1.jpg")
    with tarfile.open(tree / "photos/shard.tar", "w") as shard:
        shard.add(tree / "photos/a/1.jpg", "1.jpg")
    photos = tree / "photos"
    for source in ("list.txt", "a/../list.txt", "*.jpg", "**/*.jpg", "?/1.jpg", "", "inside.jpg"):
        assert source_root(f"{photos}/{source}") == photos
    assert source_root(f"{photos}/shard.tar") == photos / "shard.tar"
    access = Access(f"{photos}/shard.tar")
    paths = [photos / "shard.tar/1.jpg", photos / "shard.tar/2.jpg", photos / "a/1.jpg"]
    assert reasons(paths, access) == [None, Reason.unreadable, Reason.outside]
    assert reasons([photos / "shard.tar/1.jpg"], Access(str(tree / "secret"))) == [Reason.outside]


def test_tar_files_that_are_none(tree):
    (tree / "photos/folder.tar").mkdir()
    photo(tree / "photos/folder.tar/1.jpg")
    os.mkfifo(tree / "photos/pipe.tar")
    (tree / "photos/link.tar").symlink_to(tree / "secret")
    (tree / "photos/text.tar").write_text("x" * 2000)
    names = {"folder.tar/1.jpg": None, "folder.tar/2.jpg": Reason.unreadable, "pipe.tar/1.jpg": Reason.unreadable}
    names |= {"link.tar/2.jpg": Reason.outside, "link.tar/3.jpg": Reason.outside, "text.tar/1.jpg": Reason.unreadable}
    assert reasons([tree / "photos" / name for name in names], Access(str(tree / "photos"))) == list(names.values())


CHAINS = ("simplecache::{url}", "filecache::{url}", "blockcache::{url}", "zip://a.jpg::{url}", "tar://a.jpg::{url}")
CHAINS += ("local::{file}", "file::{url}", "simplecache::file://{file}", "cached::simplecache::{url}", "{url}::{url}")
OTHERS = ("memory://a.jpg", "ftp://127.0.0.1/a.jpg", "data://a", "github://o:r@/a.jpg", "dir://{url}", "HTTP://h/a.jpg")
OTHERS += ("reference://a", "local://{file}", "file://localhost{file}", "nothing://a", "://a", "ssh://h/a.jpg")


def test_nothing_is_fetched_unless_allowed_and_chains_never_are(tree):
    pytest.importorskip("upath", reason="needs universal-pathlib")
    with serving(tree / "secret") as server:
        url, file = f"{server.url}/2.jpg", str(tree / "secret/2.jpg")
        plain = [url, "https://127.0.0.1:1/2.jpg", "s3://bucket/2.jpg", "gs://bucket/2.jpg"]
        odd = [address.format(url=url, file=file) for address in (*CHAINS, *OTHERS)] + [f"{server.url}/a.tar/2.jpg"]
        assert set(reasons(plain, Access(str(tree / "photos")))) == {Reason.remote}
        withheld = dict(zip(odd, reasons(odd, Access(str(tree / "photos"))), strict=True))
        assert set(withheld.values()) <= {Reason.unsupported, Reason.outside}
        assert server.asked == []
        allowed = Access(str(tree / "photos"), fetch=Fetcher())
        assert dict(zip(odd, reasons(odd, allowed), strict=True)) == withheld
        assert server.asked == []
        assert reasons([url, f"{server.url}/gone.jpg"], allowed) == [None, Reason.unreadable]
        assert {path for path, _ in server.asked} == {"/2.jpg", "/gone.jpg"}


def test_what_is_fetched_is_bounded(tree, monkeypatch):
    clock = [0.0]
    sizes = iter([60, 60, 60, 60])
    monkeypatch.setattr("serve_cli.report.access.read_image_bytes", lambda url, limit: bytes(min(limit, next(sizes))))
    by_bytes = Fetcher(num_bytes=100, now=lambda: clock[0])
    assert [len(by_bytes("u")), len(by_bytes("u"))] == [60, 40]
    with pytest.raises(WithheldError, match="limit"):
        by_bytes("u")
    by_number = Fetcher(pictures=1)
    by_number("u")
    with pytest.raises(WithheldError, match="limit"):
        by_number("u")
    by_time = Fetcher(seconds=5, now=lambda: clock[0])
    by_time("u")
    clock[0] = 5.1
    with pytest.raises(WithheldError, match="limit"):
        by_time("u")


def test_a_picture_that_makes_its_decoder_fail_in_any_way(tree, monkeypatch):
    def fail(content):
        raise ZeroDivisionError

    monkeypatch.setattr("serve_cli.report.thumbnails.thumbnail", fail)
    assert reasons([tree / "photos/a/1.jpg"], Access(str(tree / "photos"))) == [Reason.unreadable]


def sources_of(album: Path) -> dict[str, Path]:
    """The same photographs as a folder, lists and manifests beside it, tar files and a pattern."""
    names = sorted(path.relative_to(album.parent).as_posix() for path in album.rglob("*.jpg"))
    labels = [name.split("/")[1] for name in names]
    (album.parent / "list.csv").write_text(
        "path,label\n" + "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True))
    )
    (album.parent / "rows.jsonl").write_text(
        "".join(
            json.dumps({"path": f"{album.parent}/{name}", "label": label}) + "\n"
            for name, label in zip(names, labels, strict=True)
        )
    )
    for part in range(2):
        (album.parent / "tars").mkdir(exist_ok=True)
        with tarfile.open(album.parent / f"tars/{part}.tar", "w") as shard:
            for name, label in list(zip(names, labels, strict=True))[part::2]:
                shard.add(album.parent / name, f"{label}{Path(name).stem}.jpg")
                (album.parent / "label").write_text(label)
                shard.add(album.parent / "label", f"{label}{Path(name).stem}.cls")
    sources = {"folder": album, "list": album.parent / "list.csv", "rows": album.parent / "rows.jsonl"}
    sources |= {"tars": album.parent / "tars", "tar": album.parent / "tars/0.tar", "pattern": album / "*" / "*.jpg"}
    return sources


@pytest.mark.parametrize("kind", ["folder", "list", "rows", "tars", "tar", "pattern"])
def test_ones_own_embeddings_show_all_pictures(tmp_path, model, album, lifted, kind):
    source = sources_of(album)[kind]
    embed_images(EmbedOptions(model=model, source=source, out=tmp_path / "emb"))
    status, stdout, _ = lifted("report", tmp_path / "emb", "--out", tmp_path / "r.html", "--map", "pca", "--json")
    facts = json.loads(stdout)
    assert (status, facts["pictures_missing"], facts["not_shown"]) == (0, 0, [])
    assert facts["pictures"] == (6 if kind == "tar" else 12)
    assert "not shown" not in (tmp_path / "r.html").read_text("utf-8")


def test_the_page_says_what_is_not_shown_and_why(tree, lifted):
    """A stranger's folder: URLs, links and files from anywhere."""
    paths = [tree / "photos/a/1.jpg", tree / "secret/2.jpg", tree / "photos/out.jpg", tree / "photos/gone.jpg"]
    paths += ["https://127.0.0.1:1/a.jpg"] * 3 + ["simplecache::https://127.0.0.1:1/a.jpg"]
    rows = [ImageRow(f"{number}", path, "ab"[number % 2]) for number, path in enumerate(paths)]
    embedding = np.random.default_rng(0).normal(size=(len(rows), 8)).astype(np.float32)
    batch = EmbeddedRows(rows, embedding, [None] * len(rows))
    write_folder(tree / "emb", [batch], source=tree / "photos")
    status, stdout, _ = lifted("report", tree / "emb", "--out", tree / "r.html", "--map", "pca", "--json")
    facts = json.loads(stdout)
    counts = {line["reason"]: line["pictures"] for line in facts["not_shown"]}
    assert (status, facts["pictures"], facts["pictures_missing"]) == (0, 8, 7)
    assert counts == {"remote": 3, "outside": 2, "unsupported": 1, "unreadable": 1}
    page = (tree / "r.html").read_text("utf-8")
    assert "3 have URLs; --fetch downloads them" in page
    assert f"2 are not below {tree}/photos; --root DIR shows those below DIR" in page
    _, stdout, _ = lifted(
        "report", tree / "emb", "--out", tree / "r.html", "--map", "pca", "--root", tree / "photos", "--root",
        tree / "secret",
    )  # fmt: skip
    assert "5 of them not shown" in stdout
    write_folder(tree / "all", [batch], source="/")
    written = write_report(options(tree / "all", tree / "r.html"))
    assert {line.reason: line.pictures for line in written.not_shown} == {"outside": 4, "remote": 3, "unsupported": 1}
    assert "4 are local files, which the source / does not allow; --root DIR shows" in (tree / "r.html").read_text(
        "utf-8"
    )
