"""Read from the header of an opened image how its samples are stored, which Pillow's mode does not say.

Pillow returns 12-bit samples as unscaled 16-bit samples and signed samples as unsigned ones, and it does not invert
images where 0 is white. Its raw decoder mixes up some layouts. Images that Pillow would silently decode wrongly are
refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from PIL import ImagePalette
from PIL.TiffImagePlugin import TiffImageFile

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

SAVE_AS = "save it with 8 or unsigned 16 bits"
# TIFF 6.0, section 8 and appendix A
BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, PLANAR = 258, 259, 262, 266, 284
COLOR_MAP, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 320, 332, 338, 339, 530
UNSIGNED, SIGNED = 1, 2
UNCOMPRESSED, SEPARATE, REVERSED, PREMULTIPLIED = 1, 2, 2, 1
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6


class Samples(NamedTuple):
    """How the samples of an image are stored.

    Parameters
    ----------
    bits : int
        Bits per sample.
    inverted : bool
        Whether 0 is white and Pillow does not invert it.
    transparent : int, optional
        The gray value of transparent pixels, as stored.
    """

    bits: int = 8
    inverted: bool = False
    transparent: int | None = None


def stored_samples(image: ImageFile) -> Samples:
    """Read the header of an opened image that is not decoded yet.

    A TIFF palette of 8 instead of 16 bits is corrected, as libtiff does.

    Raises
    ------
    ValueError
        If the samples have no fixed range, or Pillow would decode them wrongly.
    """
    if image.format == "TIFF":
        return _of_tiff(cast("TiffImageFile", image))
    if image.format == "PNG":
        return _of_png(image)
    return Samples(bits=16 if image.mode.startswith("I;16") else 8)


def decoded_samples(image: Image.Image) -> Samples:
    """Describe the samples of an image that a caller has decoded. Raises `ValueError` as `stored_samples` does."""
    if isinstance(image, TiffImageFile):
        return _of_tiff(image)
    if not image.mode.startswith("I;16"):
        return Samples()
    transparent: Any = image.info.get("transparency")
    return Samples(bits=16, transparent=transparent if isinstance(transparent, int) else None)


def _of_png(image: ImageFile) -> Samples:
    """Read bits and transparent gray. Pillow would compare the unscaled value with samples scaled to 8 bits."""
    raw_mode = str(image.tile[0][3])  # such as "L;2" and "I;16B"
    bits = int(raw_mode.partition(";")[2].rstrip("B") or (1 if raw_mode == "1" else 8))
    value: Any = image.info.get("transparency")
    if isinstance(value, str):  # a text chunk named so; Pillow stores both in the same dictionary
        del image.info["transparency"]
    elif isinstance(value, tuple) and bits == 16:
        raise ValueError("16-bit color with a transparent color is not decoded; save it with an alpha channel")
    elif isinstance(value, int) and image.mode != "P":
        del image.info["transparency"]
        stored = value & 1 if bits == 1 else value & ((1 << bits) - 1)  # only the low bits are used (PNG, 11.3.1.1)
        return Samples(bits, transparent=stored)
    return Samples(bits)


def _of_tiff(image: TiffImageFile) -> Samples:
    tags = image.tag_v2
    bits, photometric = max(tags.get(BITS, (1,))), tags.get(PHOTOMETRIC, 0)
    _require_range(bits, tags.get(SAMPLE_FORMAT, (UNSIGNED,)), "gray" if photometric <= BLACK_IS_ZERO else "color")
    if tags.get(PLANAR, 1) == SEPARATE and not _planes_are_decoded(image):
        raise ValueError("its samples are in separate planes, which Pillow mixes up; save it with interleaved samples")
    if photometric == YCBCR and not _ycbcr_is_decoded(image):
        raise ValueError("its uncompressed YCbCr samples are not decoded by this Pillow; save it as RGB")
    if photometric == CMYK and tags.get(INK_SET, 1) != 1:
        raise ValueError("its inks are not cyan, magenta, yellow and black; save it as RGB")
    if image.mode in ("P", "PA") and max(tags[COLOR_MAP]) < 256:  # Pillow has divided it by 256
        image.palette = ImagePalette.raw("RGB;L", bytes(tags[COLOR_MAP]))
    return Samples(bits, inverted=photometric == WHITE_IS_ZERO and bits == 16)


def _require_range(bits: int, kinds: tuple[int, ...], what: str) -> None:
    if set(kinds) != {UNSIGNED}:
        kind = f"signed {bits}-bit" if SIGNED in kinds else f"{bits}-bit floating-point"
        raise ValueError(f"{kind} {what} has no fixed range; {SAVE_AS}")
    if bits > 16:
        raise ValueError(f"{bits}-bit {what} has no fixed range; {SAVE_AS}")


def _planes_are_decoded(image: TiffImageFile) -> bool:
    """Check whether Pillow decodes samples in separate planes correctly, which was found by trying all modes."""
    tags = image.tag_v2
    extra = tags.get(EXTRA_SAMPLES, ())
    if image.mode in ("LA", "La", "PA", "LAB") or (image.mode == "P" and extra) or (image.mode == "RGBA" and not extra):
        return False
    if tags.get(COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED:
        return True
    plain = tags.get(FILL_ORDER, 1) != REVERSED and set(tags.get(BITS, (1,))) == {8}
    colors = tags.get(PHOTOMETRIC, 0) in (BLACK_IS_ZERO, RGB, PALETTE, CMYK)
    return plain and colors and PREMULTIPLIED not in extra


def _ycbcr_is_decoded(image: TiffImageFile) -> bool:
    """Check whether Pillow decodes YCbCr: uncompressed only without subsampling, since Pillow 12."""
    tags = image.tag_v2
    if tags.get(COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED:
        return True
    return image.mode == "YCbCr" and tuple(tags.get(SUBSAMPLING, (2, 2))) == (1, 1)
