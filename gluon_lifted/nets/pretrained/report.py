"""What an importer of weights did, and how the network that they come from was fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Colors(NamedTuple):
    """How pixels of 0-255 become a network's input; fields as in `gluon_lifted.images.Preprocessing`."""

    channels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


COLORS = {
    # ImageNet's statistics in 0-1, 0.485 0.456 0.406 / 0.229 0.224 0.225, times 255: GluonCV, and torchvision mostly
    "imagenet": Colors("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # mean_value of bvlc_googlenet's train_val.prototxt; Caffe reads images as BGR and does not scale them
    "caffe": Colors("BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    # -1 to 1. torchvision's googlenet takes ImageNet's normalisation back to this (transform_input=True), since its
    # weights were ported from TensorFlow
    "inception": Colors("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
}


@dataclass(frozen=True)
class WeightsReport:
    """Which weights of a file a network took.

    Parameters
    ----------
    source : str
        The file, or ``"imagenet"``.
    format : str
        ``"caffemodel"``, ``"torch"``, ``"safetensors"`` or ``"params"``.
    used : tuple of str
        Our parameters that were set.
    skipped : tuple of str
        Tensors of the file that no parameter is for: classifiers, auxiliary heads.
    missing : tuple of str
        Our parameters that the file has nothing for and that keep their values: the embedding layer's, never the
        backbone's.
    colors : Colors or None
        What the weights' network was fed with; None if the file does not tell.
    """

    source: str
    format: str
    used: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    colors: Colors | None

    def __str__(self) -> str:
        return (
            f"{self.source} ({self.format}): {len(self.used)} tensors used, {len(self.skipped)} skipped, "
            f"{len(self.missing)} missing"
        )
