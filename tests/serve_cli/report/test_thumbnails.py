import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.report.access import Access, Reason
from serve_cli.report.thumbnails import SIDE, read_thumbnails, thumbnail
from tests.serve_cli.photos import (
    broken_photos,
    odd_photos,
    photo,
    pixels,
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((400, 300), (128, 96)), ((300, 400), (96, 128)), ((50, 50), (128, 128)), ((2000, 20), (128, 16))],
)
def test_thumbnails_keep_their_proportions_and_have_no_margins(tmp_path, size, expected):
    path = photo(tmp_path / "a.png", 1, *size)
    picture = thumbnail(path.read_bytes())
    assert picture.size == expected
    if min(size) > 40:
        whole = np.asarray(Image.open(path).resize(expected, Image.Resampling.BILINEAR), int)
        assert np.abs(np.asarray(picture, int) - whole).mean() < 3


def test_images_that_are_turned_lie_right(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(0, 400, 200)).save(tmp_path / "turned.jpg", exif=exif)
    assert thumbnail((tmp_path / "turned.jpg").read_bytes()).size == (64, SIDE)


def test_odd_images_are_shown_and_broken_or_missing_ones_left_out(tmp_path):
    odd = odd_photos(tmp_path / "odd")
    broken = broken_photos(tmp_path / "broken")
    paths = [*odd, *broken, tmp_path / "none.jpg", tmp_path, "nothing://host/a.jpg"]
    thumbnails = read_thumbnails([str(path) for path in paths], range(len(paths)), Access(str(tmp_path)))
    pictures = thumbnails.pictures
    assert set(pictures) == set(range(len(odd)))
    assert thumbnails.not_shown == {Reason.unreadable: len(broken) + 2, Reason.unsupported: 1}
    assert all(max(picture.size) == SIDE and picture.mode == "RGB" for picture in pictures.values())


def test_images_in_tar_files(tmp_path, model, album):
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for file in sorted(album.rglob("*.jpg")):
            shard.add(file, f"{file.parent.name}{file.name}")
            label = tarfile.TarInfo(f"{file.parent.name}{file.stem}.cls")
            label.size = 3
            shard.addfile(label, io.BytesIO(file.parent.name.encode()))
    embed_images(EmbedOptions(model=model, source=tmp_path / "shard.tar", out=tmp_path / "emb"))
    paths = read_embeddings(tmp_path / "emb").paths
    pictures = read_thumbnails(paths, [0, 5], Access(str(tmp_path / "shard.tar"))).pictures
    first = next(iter(sorted(album.rglob("*.jpg"))))
    np.testing.assert_array_equal(np.asarray(pictures[0]), np.asarray(thumbnail(first.read_bytes())))
    (tmp_path / "shard.tar").unlink()
    assert read_thumbnails(paths, [0, 5], Access(str(tmp_path))).not_shown == {Reason.unreadable: 2}
