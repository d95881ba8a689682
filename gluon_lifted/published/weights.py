"""Published weights: their name, the locations of their file, and the preprocessing that they were trained with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.images.colors import COLORS

if TYPE_CHECKING:
    from gluon_lifted.images import Preprocessing


class WebFile(NamedTuple):
    """A file at a URL.

    Parameters
    ----------
    url : str
        The last part of its path is the file's name in the cache.
    sha256 : str
        The hexadecimal hash of the content, or its first digits.
    """

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url


class HubFile(NamedTuple):
    """A ``.safetensors`` file on the Hugging Face hub.

    Parameters
    ----------
    repository : str
        ``"timm/resnet50.a1_in1k"``.
    revision : str, optional
        Commit, tag or branch. The default is the main branch, which its owner can change.
    sha256 : str, optional
        Hexadecimal hash of the content.
    """

    repository: str
    revision: str | None = None
    sha256: str | None = None

    @property
    def url(self) -> str:
        """The address for a browser."""
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision or 'main'}/model.safetensors"

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of one network, trained in one way.

    Parameters
    ----------
    library : str
        ``"torchvision"``, ``"timm"`` or ``"onnx"``.
    name : str
        Architecture and entry: ``"resnet50.IMAGENET1K_V2"``.
    preprocessing : Preprocessing
        Preprocessing of the evaluation that the publisher reports.
    locations : tuple of WebFile and HubFile
        Locations of the same weights. The first that answers is used.
    """

    library: str
    name: str
    preprocessing: Preprocessing
    locations: tuple[WebFile | HubFile, ...]

    @property
    def source(self) -> str:
        """The spelling for ``--weights``."""
        return f"{self.library}:{self.name}"


def evaluation(
    crop: int = 224, resize: int | None = None, *, colors: str = "imagenet", interpolation: str = "bilinear"
) -> Preprocessing:
    """Build the preprocessing of an evaluation on ImageNet: the shorter side to ``resize`` px, the central square."""
    from gluon_lifted.images import Preprocessing

    return Preprocessing(
        resize=resize or math.floor(crop / 0.875),
        crop=crop,
        fit="cover",
        interpolation=interpolation,
        **COLORS[colors]._asdict(),
    )
