"""Caffe's mean image: a mean per pixel, subtracted before cropping, as the authors did.

The model card holds one mean per channel, and serving uses the center crop only. The *residual*, the mean image minus
the channel means, therefore becomes part of the network, which subtracts its center crop from every input. For the
other crops in training, the loader adds the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError
from gluon_lifted.images.colors import COLORS
from gluon_lifted.networks.pretrained.caffemodel import parse_blob

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.config.train_config import TrainConfig

MAX_FILE_BYTES = 64 << 20  # 4096 x 4096 px, the largest square; imagenet_mean.binaryproto has 786,446


def mean_residual(config: TrainConfig) -> NDArray[np.float32] | None:
    """Return a run's mean image minus the channel means: (resize, resize, 3), BGR; None without a mean image.

    Raises
    ------
    DataError
        If the file is not a ``.binaryproto`` of a mean image, or its size is not ``resize``.
    """
    if not config.mean_image:
        return None
    image = read_mean_image(Path(config.mean_image))
    if image.shape != (3, config.resize, config.resize):
        raise DataError(
            f"{config.mean_image}: the mean image has {image.shape[2]} x {image.shape[1]} px; "
            f"expected {config.resize} x {config.resize}, the value of --resize."
        )
    means = np.asarray(COLORS["caffe"].mean, np.float32)
    return image.transpose(1, 2, 0) - means


def read_mean_image(path: Path) -> NDArray[np.float32]:
    """Read a Caffe ``.binaryproto``, such as ``imagenet_mean.binaryproto``: (3, H, W) float32, BGR of 0-255.

    Raises
    ------
    DataError
        If the file cannot be read, or holds anything else.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(
                f"{path}: larger than {MAX_FILE_BYTES:,} bytes, so it is not a mean image; expected a Caffe "
                ".binaryproto."
            )
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a Caffe .binaryproto.") from None
    blob = parse_blob(memoryview(content), str(path))
    shape = blob.shape[1:] if blob.ndim == 4 and len(blob) == 1 else blob.shape  # (1, 3, H, W) in files until 2014
    image = np.asarray(blob.reshape(shape), np.float32)
    in_range = image.size > 0 and bool(((image >= 0) & (image <= 255)).all())  # False where a number is NaN
    if image.ndim != 3 or len(image) != 3 or not in_range:
        raise DataError(
            f"{path}: contains an array of shape {blob.shape}; expected (3, H, W), with means from 0 to 255."
        )
    return image
