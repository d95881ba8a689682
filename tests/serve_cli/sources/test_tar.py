from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import DataError, ImageError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tar import HEADER_TYPES, MAX_HEADER_BYTES
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


MEMBERS = {
    "a/001.jpg": b"one", "a/001.cls": b"cat\n", "a/001.json": b"{}",
    "a/002.cls": b"3", "a/002.seg.png": b"two", "a/002.jpg": b"three",
    "b/001.jpg": b"four",
    "notes.txt": b"",
}  # fmt: skip


def test_samples_of_shards_with_their_labels(tmp_path: Path) -> None:
    write(tmp_path / "s-1.tar", {"x.webp": b"five"})
    write(tmp_path / "s-0.tar", MEMBERS)
    found = list(open_source(tmp_path))
    assert [(row.id, row.label, row.content and row.content()) for row in found] == [
        ("s-0.tar/a/001.jpg", "cat", b"one"),
        ("s-0.tar/a/002.seg.png", "3", b"two"),
        ("s-0.tar/a/002.jpg", "3", b"three"),
        ("s-0.tar/b/001.jpg", None, b"four"),
        ("s-1.tar/x.webp", None, b"five"),
    ]
    assert [row.id for row in open_source(tmp_path / "s-1.tar")] == ["s-1.tar/x.webp"]


def test_shards_give_the_embeddings_of_the_folder(model: Path, tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(7)]
    for seed, name in enumerate(names):
        photo(tmp_path / "photos" / name, seed=seed)
    content = {name: (tmp_path / "photos" / name).read_bytes() for name in names}
    content["7.jpg"] = content["6.jpg"][:100]
    write(tmp_path / "s.tar", content)
    report = embed_images(
        EmbedOptions(
            model=model, source=tmp_path / "s.tar", out=tmp_path / "tar", model_options=ModelOptions(batch_size=3)
        )
    )
    embed_images(
        EmbedOptions(
            model=model, source=tmp_path / "photos", out=tmp_path / "folder", model_options=ModelOptions(batch_size=3)
        )
    )
    found = read_embeddings(tmp_path / "tar")
    assert (report.rows, report.failed) == (8, 1)
    assert str(found.errors[7]).startswith("s.tar/7.jpg: ")
    assert found.embedding[:7].tolist() == read_embeddings(tmp_path / "folder").embedding.tolist()


def test_compressed_damaged_and_empty_shards_are_named(tmp_path: Path) -> None:
    write(tmp_path / "gz.tar", MEMBERS, "w:gz")
    (tmp_path / "text.tar").write_text("no tar" * 1000)
    write(tmp_path / "none.tar", {"notes.txt": b"x"})
    for name, message in [
        ("gz", "cannot be read as an uncompressed tar file"),
        ("text", "cannot be read as an uncompressed tar file"),
        ("none", "no images in it"),
    ]:
        with pytest.raises(DataError, match=rf"{name}\.tar: {message}"):
            open_source(tmp_path / f"{name}.tar")
    whole = write(tmp_path / "cut.tar", MEMBERS).read_bytes()
    for size in (3 * 512, 3 * 512 + 100, 4 * 512 + 1):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"cut\.tar: cannot be read as an uncompressed tar file"):
            list(open_source(tmp_path / "cut.tar"))


def test_image_that_is_cut_off_or_too_large_fails_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tar", {"a.jpg": b"x" * 2000, "b.jpg": b"y"})
    rows = list(open_source(path))
    with pytest.raises(ImageError, match="2,000 bytes are more than the limit of 1,000"):
        rows[0].content(limit=1000)
    assert rows[1].content(limit=1000) == b"y"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"s\.tar: cannot be read \(cut off after 976 of 2,000 bytes"):
        rows[0].content()
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        rows[1].content()


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b.jpg", tarfile.CHRTYPE), ("c.jpg", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(DataError, match="no images"):
        open_source(tmp_path / "s.tar")


def test_hidden_members_are_passed_over(tmp_path: Path) -> None:
    hidden = [
        "a/._001.jpg",
        "__MACOSX/a/001.jpg",
        ".git/x.png",
        "./.b.jpg",
        "a/.cache/1.jpg",
        "a\\._2.jpg",
        "._001.cls",
    ]
    shown = ["./a/001.jpg", "a..b/c.jpg", "../up.jpg", "__MACOSX.jpg"]
    write(tmp_path / "s.tar", dict.fromkeys([*hidden, *shown], b"x"))
    write(tmp_path / "._s.tar", {"hidden.jpg": b"x"})
    assert [row.id for row in open_source(tmp_path)] == [f"s.tar/{name}" for name in shown]
    write(tmp_path / "s.tar", {"a/001.jpg": b"x", "a/._001.cls": b"wrong", "a/001.cls": b"cat"})
    assert [row.label for row in open_source(tmp_path / "s.tar")] == ["cat"]
    write(tmp_path / "s.tar", {"._a.jpg": b"x"})
    with pytest.raises(DataError, match="no images in it"):
        open_source(tmp_path / "s.tar")


def claiming(kind: bytes, size: int, name: str = "x.jpg") -> bytes:
    """A header of a member that claims a size, and an image after it."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    image = tarfile.TarInfo("b.jpg")
    return member.tobuf(tarfile.GNU_FORMAT) + image.tobuf() + bytes(1024)


@pytest.mark.parametrize("kind", [*HEADER_TYPES])
@pytest.mark.parametrize("size", [MAX_HEADER_BYTES + 1, 1 << 40, -512])
def test_header_that_claims_more_than_any_name_needs(tmp_path: Path, kind: bytes, size: int) -> None:
    (tmp_path / "s.tar").write_bytes(claiming(kind, size))
    with pytest.raises(
        DataError,
        match=rf"s\.tar: cannot be read as an uncompressed tar file that can be read \(a header of {size:,} bytes",
    ):
        list(open_source(tmp_path / "s.tar"))


@pytest.mark.parametrize("size", [1 << 40, -512, -(1 << 40)])
def test_member_or_pax_header_with_a_wrong_size(tmp_path: Path, size: int) -> None:
    image = tarfile.TarInfo("b.jpg")
    image.pax_headers = {"size": str(size)}
    for content in (claiming(tarfile.REGTYPE, size), image.tobuf(tarfile.PAX_FORMAT) + bytes(1024)):
        (tmp_path / "s.tar").write_bytes(content)
        with pytest.raises(DataError, match=r"s\.tar: "):
            list(open_source(tmp_path / "s.tar"))


def test_long_names_are_read_and_endless_chains_of_headers_are_not(tmp_path: Path) -> None:
    name = "d" * 3000 + "/a.jpg"
    for style in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "s.tar", "w", format=style) as archive:
            archive.addfile(tarfile.TarInfo(name))
        assert [row.id for row in open_source(tmp_path / "s.tar")] == [f"s.tar/{name}"]
    member = tarfile.TarInfo("x")
    member.type = tarfile.GNUTYPE_LONGNAME
    (tmp_path / "s.tar").write_bytes(member.tobuf() * 5000)
    with pytest.raises(DataError, match="cannot be read as an uncompressed tar file"):
        open_source(tmp_path / "s.tar")
