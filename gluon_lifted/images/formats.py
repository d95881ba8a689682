"""The supported image formats, and the function that opens images.

Pillow opens about forty formats, including PostScript, for which it starts Ghostscript. Here a file is opened only in
the format that its first bytes declare, and only if that format is listed. Its suffix is ignored.
"""

from __future__ import annotations

import io
import logging
import os
import re
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image, UnidentifiedImageError

from gluon_lifted.errors import ImageError, LiftedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

HEAD_BYTES = 16  # enough for every signature
RUST_PANIC = "PanicException"  # raised for panics of decoders written in Rust; not a subclass of Exception
MAX_REASON = 200  # characters of a decoder's own message
# Pillow warns and logs about odd files that it can read. Files that cannot be read are reported by name.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Parameters
    ----------
    name : str
        Pillow's name of the format.
    suffixes : tuple of str
        File suffixes, in lower case.
    signature : bytes
        Pattern that the first bytes of a file match.
    module, package : str
        The module that decodes the format if Pillow alone does not, and the package to install with pip.
    register : str
        ``module:function`` that registers the format with Pillow.
    """

    name: str
    suffixes: tuple[str, ...]
    signature: bytes
    module: str = ""
    package: str = ""
    register: str = ""

    @property
    def installed(self) -> bool:
        """Whether the format can be decoded. Imports nothing heavy."""
        return not self.module or find_spec(self.module) is not None

    def begins(self, head: bytes) -> bool:
        """Check whether a file with these first bytes claims to have this format."""
        return re.match(self.signature, head, re.DOTALL) is not None


FORMATS = (
    Format("JPEG", (".jpg", ".jpeg"), rb"\xff\xd8\xff"),
    Format("PNG", (".png",), rb"\x89PNG\r\n\x1a\n"),
    Format("WEBP", (".webp",), rb"RIFF....WEBP"),
    Format("GIF", (".gif",), rb"GIF8[79]a"),
    Format("BMP", (".bmp",), rb"BM"),
    Format("TIFF", (".tif", ".tiff"), rb"II|MM"),
    # mif1 and msf1 (ISO/IEC 23008-12) may be either of the next two
    Format("AVIF", (".avif",), rb"....ftyp(?:avi[fs]|mif1|msf1)", module="PIL._avif", package="pillow>=11.3"),
    Format(
        "HEIF",
        (".heic", ".heif", ".hif"),
        rb"....ftyp(?:he[iv][cxms]|mif1|msf1)",
        module="pillow_heif",
        package="pillow-heif",
        register="pillow_heif:register_heif_opener",
    ),
    Format(
        "JXL",
        (".jxl",),
        rb"\xff\x0a|\0\0\0\x0cJXL ",
        module="pillow_jxl",
        package="pillow-jxl-plugin",
        register="gluon_lifted.images.jpeg_xl:register",
    ),
)
IMAGE_SUFFIXES = frozenset(suffix for format_ in FORMATS if format_.installed for suffix in format_.suffixes)
# Suffixes that cannot be read yet -> package to install with pip
MISSING_PACKAGES = {
    suffix: format_.package for format_ in FORMATS if not format_.installed for suffix in format_.suffixes
}
_REGISTERING, _REGISTERED = threading.Lock(), set[str]()


@contextmanager
def open_image(source: str | os.PathLike[str] | bytes, name: str = "") -> Iterator[ImageFile]:
    """Open an image file or its content. Most formats are decoded later, inside the block.

    Parameters
    ----------
    source : path or bytes
        An image file or its content.
    name : str
        Name for error messages if ``source`` is bytes.

    Raises
    ------
    ImageError
        If the image cannot be opened, or any exception is raised inside the block, including `MemoryError` for a
        hostile header: decoders raise exceptions of all kinds on damaged files.
    """
    label = name_of(source, name)
    try:
        with _opened(source) as file, Image.open(file, formats=_formats_of(file)) as image:
            yield image
    except LiftedError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        raise ImageError(f"{label}: cannot be read ({_reason(error)}).") from error


def name_of(source: str | os.PathLike[str] | bytes, name: str = "") -> str:
    """Return the name of an image for error messages: its path, or ``name`` if ``source`` is bytes."""
    return (name or f"{len(source)} bytes in memory") if isinstance(source, bytes) else os.fspath(source)


def _opened(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


def _formats_of(file: BinaryIO) -> list[str]:
    """Return Pillow's names of the formats that a file claims, and load their decoders."""
    head = file.read(HEAD_BYTES)
    claimed = [format_ for format_ in FORMATS if format_.begins(head)]
    if not claimed:
        raise ValueError(f"it is not an image of a known format: {', '.join(format_.name for format_ in FORMATS)}")
    readable = [format_ for format_ in claimed if format_.installed]
    if not readable:
        raise ImportError(f"{claimed[-1].name} needs a decoder: `pip install '{claimed[-1].package}'`")
    for format_ in readable:
        _register(format_)
    return [format_.name for format_ in readable]


def _register(format_: Format) -> None:
    with _REGISTERING:
        if format_.register and format_.name not in _REGISTERED:
            _REGISTERED.add(format_.name)
            module, function = format_.register.split(":")
            getattr(import_module(module), function)()


def _reason(error: BaseException) -> str:
    """Summarize a decoder's error in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return "it begins like an image, but is damaged or stored in a way that Pillow does not know"
    if isinstance(error, MemoryError):
        return "not enough memory"
    kind = type(error).__name__
    if isinstance(error, OSError | ValueError | SyntaxError | ImportError | Image.DecompressionBombError):
        kind = ""  # other messages make no sense without their type: KeyError's is only the key
    return ": ".join(filter(None, (kind, str(error))))[:MAX_REASON] or type(error).__name__
