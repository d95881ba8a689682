"""Decode and preprocess images, in the same way for training, freezing, serving and evaluation."""

from gluon_lifted.images.formats import IMAGE_SUFFIXES, MISSING_PACKAGES, open_image
from gluon_lifted.images.limits import MAX_PIXELS, DecodeLimits
from gluon_lifted.images.preprocessing import (
    Preprocessing,
    center_crop,
    denormalize,
    normalize,
    preprocessing_from_json,
    random_crop_mirror,
)
from gluon_lifted.images.reading import check_image, read_image

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MISSING_PACKAGES",
    "DecodeLimits",
    "Preprocessing",
    "center_crop",
    "check_image",
    "denormalize",
    "normalize",
    "open_image",
    "preprocessing_from_json",
    "random_crop_mirror",
    "read_image",
]
