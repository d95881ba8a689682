"""Named color normalizations: channel order, mean, scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.images.preprocessing import Preprocessing


class Colors(NamedTuple):
    """A normalization ``(pixels - mean) / std`` of pixels of 0-255; mean and std are in the order of ``channels``."""

    channels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


COLORS = {
    # ImageNet's statistics times 255, as GluonCV's networks were trained
    "imagenet": Colors("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # mean_value of bvlc_googlenet's train_val.prototxt
    "caffe": Colors("BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    # -1 to 1, as torchvision's googlenet, whose weights are from TensorFlow, transforms its input (transform_input)
    "inception": Colors("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
}


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    """Build the preprocessing of a run. Without pretrained weights ``auto`` means ``imagenet`` and ``bilinear``."""
    from gluon_lifted.images.preprocessing import Preprocessing

    return Preprocessing(
        resize=config.resize,
        crop=config.crop,
        fit=config.fit,
        trim=config.trim,
        interpolation=DEFAULT_INTERPOLATION if config.interpolation == "auto" else config.interpolation,
        **COLORS["imagenet" if config.colors == "auto" else config.colors]._asdict(),
    )
