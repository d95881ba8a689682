"""Image files to embeddings in Python: the bits that `lifted embed` writes."""

from __future__ import annotations

import io
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import ConfigError, ImageError
from serve_cli import Embedder, ModelOptions, read_embeddings
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from tests.gluon_lifted.images.tiff_writer import Tiff
from tests.serve_cli.photos import broken_photos, odd_photos, photo, pixels
from tests.serve_cli.tiny_model import CARD, weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serve_cli.sources.given_images import GivenImage

pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")


@pytest.fixture
def embedder(model):
    with Embedder(model, ModelOptions(threads=2, batch_size=4)) as embedder:
        yield embedder


def opened(paths: Iterable[Path]) -> Iterator[Image.Image]:
    """Images that are not decoded yet, and closed once the next one is asked for."""
    for path in paths:
        with Image.open(path) as image:
            yield image


def lossless_photos(folder: Path) -> list[Path]:
    """Files that decode to the same pixels whoever decodes them."""
    names = (
        "gray.png",
        "alpha.png",
        "palette.gif",
        "16-bit.png",
        "16-bit.tif",
        "moving.gif",
        "moving.webp",
        "tiny.bmp",
    )
    paths = [path for path in odd_photos(folder) if path.name in names]
    keyed = Image.fromarray(pixels(1)[:, :, 0].astype(np.uint16) * 257)
    keyed.save(folder / "keyed.png", transparency=int(np.asarray(keyed)[15, 20]))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels(3)).save(folder / "turned.png", exif=turned)
    Image.fromarray(pixels(3)).save(folder / "turned.tif", exif=turned)
    Image.fromarray(pixels(4)).convert("CMYK").save(folder / "cmyk.tif")
    inverted = (pixels(1)[:, :, :1].astype(int) * 257).tolist()
    (folder / "inverted.tif").write_bytes(Tiff(photometric=0, bits=16).encode(inverted))
    more = ("keyed.png", "turned.png", "turned.tif", "cmyk.tif", "inverted.tif")
    return [*paths, *(folder / name for name in more)]


def test_the_bits_that_lifted_embed_writes(tmp_path, model, embedder):
    odd_photos(tmp_path / "photos")
    broken_photos(tmp_path / "photos")
    photo(tmp_path / "photos" / "large.jpg", 5, 320, 200)  # decoded at a smaller scale
    options = EmbedOptions(
        model=model, source=tmp_path / "photos", out=tmp_path / "out", model_options=embedder.options
    )
    embed_images(options)
    written = read_embeddings(tmp_path / "out")
    paths = [tmp_path / "photos" / name for name in written.paths]
    each = list(embedder.embed_each(paths))
    assert sum(image.error is not None for image in each) == 5
    assert [image.error is None for image in each] == np.isfinite(written.embedding).all(axis=1).tolist()
    assert np.stack([image.embedding for image in each]).tobytes() == written.embedding.tobytes()
    good = [path for path, image in zip(paths, each, strict=True) if image.error is None]
    expected = np.stack([image.embedding for image in each if image.error is None])
    assert embedder.embed_files(good).tobytes() == expected.tobytes()
    assert embedder.embed_files(map(str, good)).tobytes() == expected.tobytes()
    assert embedder.embed_files(path.read_bytes() for path in good).tobytes() == expected.tobytes()
    assert embedder.embed_files(opened(good)).tobytes() == expected.tobytes()


def test_decoded_images_of_lossless_files_are_as_their_files(tmp_path, embedder):
    paths = lossless_photos(tmp_path)
    decoded: list[GivenImage] = []
    for path in paths:
        with Image.open(path) as image:
            image.load()
        decoded.append(image)
    before = [(image.size, image.mode, image.tobytes()) for image in decoded]
    expected = embedder.embed_files(paths)
    assert len(np.unique(expected, axis=0)) >= 7
    assert embedder.embed_files(decoded).tobytes() == expected.tobytes()
    assert [(image.size, image.mode, image.tobytes()) for image in decoded] == before


def test_mixed_in_any_order(tmp_path, embedder):
    path = photo(tmp_path / "a.png", 1)
    given = [path, str(path), path.read_bytes(), Image.open(io.BytesIO(path.read_bytes()))]
    rows = embedder.embed_files([*given, Image.fromarray(pixels(1))])
    assert rows.shape == (5, 8)
    assert rows.dtype == np.float32
    assert (rows == rows[0]).all()


def test_a_photo_by_plain_sums(tmp_path, embedder):
    path = photo(tmp_path / "a.png", 1)
    side, crop = CARD.preprocessing.resize, CARD.preprocessing.crop
    top = (side - crop) // 2
    square = np.asarray(Image.open(path).resize((side, side), Image.Resampling.BILINEAR))
    data = (square[top : top + crop, top : top + crop] - np.array(CARD.preprocessing.mean)) / CARD.preprocessing.std
    expected = data.transpose(2, 0, 1).reshape(-1) @ weight(CARD).astype(np.float64)
    np.testing.assert_allclose(embedder.embed_files([path])[0], expected, atol=1e-5)


def test_an_edited_image_is_not_read_from_its_file(tmp_path, embedder):
    image = Image.open(photo(tmp_path / "a.png", 1))
    image.paste((0, 255, 0), (0, 0, 40, 30))
    green = Image.new("RGB", (40, 30), (0, 255, 0))
    assert embedder.embed_files([image]).tobytes() == embedder.embed_files([green]).tobytes()


def test_the_second_frame_stays_the_second(tmp_path, embedder):
    frames = [Image.fromarray(pixels(seed)) for seed in (1, 2)]
    frames[0].save(tmp_path / "moving.tif", save_all=True, append_images=frames[1:])
    image = Image.open(io.BytesIO((tmp_path / "moving.tif").read_bytes()))
    image.seek(1)
    assert embedder.embed_files([image]).tobytes() == embedder.embed_files([frames[1]]).tobytes()


def test_a_failure_names_index_and_path(tmp_path, embedder):
    good, bad = photo(tmp_path / "good.png"), tmp_path / "bad.jpg"
    bad.write_bytes(b"this is not a picture")
    with pytest.raises(ImageError, match=r"^images\[2\], .*/bad\.jpg: cannot be read .* use embed_each\.$"):
        embedder.embed_files([good, good, bad, good])
    with pytest.raises(ImageError, match=r"^images\[1\], 21 bytes: cannot be read"):
        embedder.embed_files([good, bad.read_bytes()])
    with pytest.raises(ImageError, match=r"^images\[0\], F image of 4 x 3 px: cannot be read \(32-bit pixels"):
        embedder.embed_files([Image.new("F", (4, 3))])
    closed = Image.open(good)
    closed.close()
    names = [(image.name, image.error is None) for image in embedder.embed_each([bad, closed, good])]
    assert names == [(str(bad), False), (str(good), False), (str(good), True)]


def test_an_endless_iterable_is_read_only_as_far_as_needed(tmp_path, embedder):
    path, taken = photo(tmp_path / "a.png"), []
    endless = (taken.append(number) or path for number in count())
    assert len(list(islice(embedder.embed_each(endless), 10))) == 10
    assert len(taken) < 60


def test_memory_of_waiting_pixels_is_bounded(tmp_path, embedder, monkeypatch):
    from serve_cli.embed import memory_budget

    monkeypatch.setattr(memory_budget, "MAX_IMAGE_BYTES", 5000)
    small, large = Image.fromarray(pixels(1)), Image.new("RGB", (60, 60))  # 4,800 and 14,400 bytes
    each = list(embedder.embed_each([small] * 9 + [large]))
    assert [image.error for image in each[:9]] == [None] * 9
    assert "14,400 bytes are more than the limit of 10,000" in each[9].error


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("photo.jpg", r"images is a single str; expected several: pass a list, \[image\]"),
        (b"\xff\xd8", "images is a single bytes"),
        (Image.new("RGB", (2, 2)), "images is a single Image"),
        (7, "images is int; expected an iterable"),
        ([np.zeros((2, 2, 3), np.uint8)], r"images\[0\] is ndarray; expected a path.* go to Embedder\.embed"),
    ],
)
def test_what_are_no_images(embedder, images, message):
    with pytest.raises(ConfigError, match=message):
        embedder.embed_files(images)


def test_none_and_closed(embedder):
    assert embedder.embed_files([]).shape == (0, 8)
    embedder.close()
    with pytest.raises(ConfigError, match="the embedder is closed"):
        embedder.embed_files([])
