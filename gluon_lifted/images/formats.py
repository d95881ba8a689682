"""The image formats that are read, and the one function that opens images.

Pillow opens some forty formats, PostScript among them, for which it starts Ghostscript. Here a file is opened only as
the format that its first bytes name, and only if that format is listed. Its suffix has no say.
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
RUST_PANIC = "PanicException"  # what a failed assertion of a decoder in Rust becomes; it is no Exception
MAX_REASON = 200  # characters of a decoder's own message
# Odd files that can be read make Pillow warn and log; those that cannot be read are reported with their name.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Parameters
    ----------
    name : str
        Pillow's name of it.
    suffixes : tuple of str
        Suffixes of its files, in lower case.
    signature : bytes
        A pattern that the first bytes of its files match.
    module, package : str
        The module that decodes it where Pillow alone does not, and what pip installs to get it.
    register : str
        Module and function that make the format known to Pillow.
    """

    name: str
    suffixes: tuple[str, ...]
    signature: bytes
    module: str = ""
    package: str = ""
    register: str = ""

    @property
    def installed(self) -> bool:
        """Whether it can be decoded here. Imports nothing heavy."""
        return not self.module or find_spec(self.module) is not None

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so claims to be of this format."""
        return re.match(self.signature, head, re.DOTALL) is not None


FORMATS = (
    Format("JPEG", (".jpg", ".jpeg"), rb"\xff\xd8\xff"),
    Format("PNG", (".png",), rb"\x89PNG\r\n\x1a\n"),
    Format("WEBP", (".webp",), rb"RIFF....WEBP"),
    Format("GIF", (".gif",), rb"GIF8[79]a"),
    Format("BMP", (".bmp",), rb"BM"),
    Format("TIFF", (".tif", ".tiff"), rb"II|MM"),
    # mif1 and msf1 (ISO/IEC 23008-12) say that it is one of the two
    Format("AVIF", (".avif",), rb"....ftyp(?:avi[fs]|mif1|msf1)", "PIL._avif", "pillow>=11.3"),
    Format(
        "HEIF",
        (".heic", ".heif", ".hif"),
        rb"....ftyp(?:he[iv][cxms]|mif1|msf1)",
        "pillow_heif",
        "pillow-heif",
        "pillow_heif:register_heif_opener",
    ),
    Format(
        "JXL",
        (".jxl",),
        rb"\xff\x0a|\0\0\0\x0cJXL ",
        "pillow_jxl",
        "pillow-jxl-plugin",
        "gluon_lifted.images.jpeg_xl:register",
    ),
)
IMAGE_SUFFIXES = frozenset(suffix for known in FORMATS if known.installed for suffix in known.suffixes)
# What pip installs to read the others: suffix -> package
MISSING_PACKAGES = {suffix: known.package for known in FORMATS if not known.installed for suffix in known.suffixes}
_REGISTERING, _REGISTERED = threading.Lock(), set[str]()


@contextmanager
def open_image(source: str | os.PathLike[str] | bytes, name: str = "") -> Iterator[ImageFile]:
    """Open an image file or its content; most formats are decoded later, inside the block.

    Parameters
    ----------
    source : path or bytes
        An image file or its content.
    name : str
        What errors call an image that is given by its bytes.

    Raises
    ------
    ImageError
        Also for whatever a decoder raises inside the block, `MemoryError` on a hostile header included: decoders raise
        exceptions of all kinds on damaged files.
    """
    called = name_of(source, name)
    try:
        with _opened(source) as file, Image.open(file, formats=_formats_of(file)) as image:
            yield image
    except LiftedError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        raise ImageError(f"{called}: cannot be read ({_reason(error)}).") from error


def name_of(source: str | os.PathLike[str] | bytes, name: str = "") -> str:
    """What errors call an image: its path, or ``name`` where it is given by its bytes."""
    return (name or f"{len(source)} bytes in memory") if isinstance(source, bytes) else os.fspath(source)


def _opened(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


def _formats_of(file: BinaryIO) -> list[str]:
    """Pillow's names of the formats that a file claims to be of; their decoders are loaded with the first such file."""
    head = file.read(HEAD_BYTES)
    claimed = [known for known in FORMATS if known.begins(head)]
    if not claimed:
        raise ValueError(f"not an image of a known format: {', '.join(known.name for known in FORMATS)}")
    decoded = [known for known in claimed if known.installed]
    if not decoded:
        raise ImportError(f"{claimed[-1].name} needs a decoder: pip install '{claimed[-1].package}'")
    for known in decoded:
        _register(known)
    return [known.name for known in decoded]


def _register(known: Format) -> None:
    with _REGISTERING:
        if known.register and known.name not in _REGISTERED:
            _REGISTERED.add(known.name)
            module, function = known.register.split(":")
            getattr(import_module(module), function)()


def _reason(error: BaseException) -> str:
    """A decoder's error in few words."""
    if isinstance(error, UnidentifiedImageError):
        return "it begins like an image, but is damaged or stored in a way that Pillow does not know"
    if isinstance(error, MemoryError):
        return "not enough memory"
    kind = type(error).__name__
    if isinstance(error, OSError | ValueError | SyntaxError | ImportError | Image.DecompressionBombError):
        kind = ""  # messages of other kinds make no sense without it: KeyError says no more than the key
    return ": ".join(filter(None, (kind, str(error))))[:MAX_REASON] or type(error).__name__
