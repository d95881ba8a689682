"""Which files are opened, and how exceptions of decoders are reported."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import EpsImagePlugin, Image, JpegImagePlugin

import gluon_lifted
from gluon_lifted.errors import ImageError
from gluon_lifted.images import (
    IMAGE_SUFFIXES,
    Preprocessing,
    check_image,
    formats,
    open_image,
    read_image,
)

HOW = Preprocessing(resize=8, crop=8)
NAMED = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"}


def saved(kind: str, mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, (8, 8)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICO", "PCX", "TGA", "SGI", "DDS", "JPEG2000", "PDF", "DIB"])
def test_other_formats_are_not_opened_whatever_their_names(tmp_path, monkeypatch, kind: str) -> None:
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_: pytest.fail("Ghostscript was started"))
    content = saved(kind)
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(ImageError, match="not an image of a known format: JPEG, PNG"):
            read_image(source, HOW)
    assert "not an image of a known format" in check_image(path)


def test_a_format_opens_as_what_it_is_whatever_its_name(tmp_path) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        (tmp_path / "photo.heic").write_bytes(saved(kind))
        with open_image(tmp_path / "photo.heic") as image:
            assert image.format == kind


def test_images_are_opened_in_one_place_only() -> None:
    root = Path(gluon_lifted.__file__).parents[1]
    modules = [
        str(path.relative_to(root))
        for package in ("gluon_lifted", "export", "serve_cli")
        for path in sorted((root / package).rglob("*.py"))
        if re.search(r"\b(Image|PIL|ImageFile)\.open\(|ImageFile\.Parser", path.read_text())
    ]
    assert modules == ["gluon_lifted/images/formats.py"]


def test_suffixes_are_those_of_the_formats() -> None:
    assert {format_.name for format_ in formats.FORMATS} >= NAMED
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"} <= IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & formats.MISSING_PACKAGES.keys()
    assert (IMAGE_SUFFIXES | formats.MISSING_PACKAGES.keys()) >= {".heic", ".heif"}


def test_the_list_of_suffixes_loads_no_decoder() -> None:
    script = "import sys, gluon_lifted.images; print([m for m in sys.modules if 'heif' in m or 'avif' in m.lower()])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_missing_decoder_is_named(monkeypatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    for brand, package in ((b"heic", "pillow-heif"), (b"avif", "pillow>=11.3")):
        with pytest.raises(ImageError, match=f"x: cannot be read .* needs a decoder: `pip install '{package}'`"):
            read_image(b"\0\0\0\x1cftyp" + brand + bytes(50), HOW, name="x")


class OddError(Exception):
    pass


class PanicException(BaseException):  # as PyO3 calls it
    pass


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (RuntimeError("no such item"), "RuntimeError: no such item"),
        (KeyError("x"), "KeyError: 'x'"),
        (OddError(), "OddError"),
        (PanicException("index out of bounds"), "PanicException: index out of bounds"),
        (MemoryError(), "not enough memory"),
        (RecursionError("deep"), "RecursionError: deep"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (OSError("broken data stream"), "broken data stream"),
        (AssertionError(), "AssertionError"),
        (ValueError("x" * 5000), "x" * 200),
    ],
)
@pytest.mark.parametrize("step", ["_open", "load"])
def test_whatever_a_decoder_raises_is_the_images_error(tmp_path, monkeypatch, raised, said: str, step: str) -> None:
    content = saved("JPEG")
    (tmp_path / "x.jpg").write_bytes(content)

    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, step, fail)
    if step == "_open" and isinstance(raised, KeyError):  # Pillow's openers decline a file with KeyError
        said = "it begins like an image, but is damaged or stored in a way that Pillow does not know"
    with pytest.raises(ImageError, match=rf"^x\.jpg: cannot be read \({re.escape(said)}\)\.$"):
        read_image(content, HOW, name="x.jpg")
    assert (check_image(tmp_path / "x.jpg") is None) == (step == "load")


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_no_images_error(monkeypatch, raised: type[BaseException]) -> None:
    def stop(_: object) -> None:
        raise raised

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", stop)
    with pytest.raises(raised):
        read_image(saved("JPEG"), HOW)


def test_pillows_warnings_are_not_shown() -> None:
    script = (
        "import sys, warnings, logging\n"
        "from gluon_lifted.images import Preprocessing, read_image\n"
        "from PIL import Image, JpegImagePlugin\n"
        "def loud(self, *_):\n"
        "    exec(compile('warnings.warn(\"odd\")', 'x', 'exec'), {'warnings': warnings, '__name__': 'PIL.x'})\n"
        "    logging.getLogger('PIL.x').error('odd')\n"
        "    return real(self)\n"
        "real, JpegImagePlugin.JpegImageFile.load = JpegImagePlugin.JpegImageFile.load, loud\n"
        "print(read_image(sys.stdin.buffer.read(), Preprocessing(8, 8)).shape)"
    )
    for options in ([], ["-W", "error"]):
        run = subprocess.run(
            [sys.executable, *options, "-c", script], input=saved("JPEG"), capture_output=True, check=False
        )
        assert (run.stdout.decode(), run.stderr.decode()) == ("(8, 8, 3)\n", "")
