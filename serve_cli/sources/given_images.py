"""Images that a caller hands over, as paths, bytes or Pillow's images -> rows."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from gluon_lifted.errors import ConfigError, ImageError
from gluon_lifted.images.formats import FORMATS
from gluon_lifted.images.pixels import to_rgb
from gluon_lifted.images.samples import decoded_samples
from serve_cli.sources.image_bytes import image_at, image_location
from serve_cli.sources.image_row import MAX_IMAGE_BYTES, HeldImage, ImageRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

GivenImage: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image"
RGB_FILE = "BMP"  # holds 8-bit RGB unchanged, and is read as fast as memory is copied
PIXEL_BYTES = 4  # Pillow's
MPO = "MPO"  # Pillow's name of a JPEG of several pictures
READABLE = frozenset({MPO, *(format_.name for format_ in FORMATS)})


def given_images(images: Iterable[GivenImage]) -> Iterator[ImageRow]:
    """Make a row for each image, lazily.

    Raises
    ------
    ConfigError
        If ``images`` is a single image or not iterable. Raised later if one of them is of another type.
    """
    if isinstance(images, str | bytes | os.PathLike | Image.Image):
        raise ConfigError(f"images is a single {type(images).__name__}; expected several: pass a list, [image].")
    try:
        iterator = iter(images)
    except TypeError:
        raise ConfigError(f"images is {type(images).__name__}; expected an iterable of paths or images.") from None
    return (_row(image, index) for index, image in enumerate(iterator))


class HeldPixels(HeldImage):
    """A decoded image that came with its row: its content is a file with the same pixels, upright and RGB."""

    __slots__ = ("_image",)

    def __init__(self, image: Image.Image, name: str) -> None:
        super().__init__(None, name)
        self._image, self.size = image, PIXEL_BYTES * image.width * image.height

    def __call__(self, *, limit: int = MAX_IMAGE_BYTES) -> bytes:
        """Return a BMP. Raises `ImageError` if the pixels cannot be converted, or take more than ``limit`` bytes."""
        if self.size > limit:
            raise ImageError(f"{self._name}: {self.size:,} bytes are more than the limit of {limit:,}.")
        file = io.BytesIO()
        try:
            upright = ImageOps.exif_transpose(self._image)  # a copy: the caller's image stays unchanged
            to_rgb(upright, decoded_samples(self._image)).save(file, RGB_FILE)
        except Exception as error:  # decoders raise exceptions of all kinds
            raise ImageError(f"{self._name}: cannot be read ({error or type(error).__name__}).") from error
        return file.getvalue()


def _row(image: GivenImage, index: int) -> ImageRow:
    if isinstance(image, str | os.PathLike):
        path = os.fspath(image)
        return image_at(path, image_location(path))
    if isinstance(image, bytes):
        name = f"{len(image):,} bytes"
        return ImageRow(name, "", content=HeldImage(image, name))
    if isinstance(image, Image.Image):
        name = str(getattr(image, "filename", "")) or f"{image.mode} image of {image.width} x {image.height} px"
        return ImageRow(name, "", content=_held(image, name))
    raise ConfigError(
        f"images[{index}] is {type(image).__name__}; expected a path, bytes or a PIL image. Cropped pixels go to "
        "Embedder.embed."
    )


def _held(image: Image.Image, name: str) -> HeldImage:
    """Hold an image's file if it is not decoded yet: a JPEG is then decoded at the scale that its path would be."""
    untouched = getattr(image, "_im", image) is None
    if not (untouched and isinstance(image, ImageFile) and image.format in READABLE and image.tell() == 0):
        return HeldPixels(image, name)
    file = image.fp
    try:
        if file is None:
            return HeldPixels(image, name)
        position = file.tell()
        file.seek(0)
        content = file.read(MAX_IMAGE_BYTES + 1)
        file.seek(position)
    except (OSError, ValueError):  # closed, for example
        return HeldPixels(image, name)
    return HeldImage(content, name)
