"""Colors and interpolation of the images that weights were trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_FILE
from gluon_lifted.errors import RunError
from gluon_lifted.images.colors import Colors, spell_colors
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION
from gluon_lifted.twins.colors import twin_colors

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from gluon_lifted.images import Preprocessing
    from gluon_lifted.networks.pretrained.fetch import Fetched


class TrainedWith(NamedTuple):
    """Colors, as `spell_colors` writes them, and interpolation; None if unknown."""

    colors: str | None
    interpolation: str | None


def trained_with(fetched: Fetched, kind: str, backbone: str, parameters: Container[str], *, own: bool) -> TrainedWith:
    """Return the colors and the interpolation of the images that weights were trained with.

    Parameters
    ----------
    kind : str
        Format of the file, as in `WeightsReport`.
    parameters : container of str
        Names in the file.
    own : bool
        Whether the weights are from one of our embedding networks.
    """
    used = _preprocessing_beside(fetched.path) if own else fetched.preprocessing
    if used is not None:
        return TrainedWith(spell_colors(Colors(used.channels, used.mean, used.std)), used.interpolation)
    if own or backbone.startswith("cifar"):  # GluonCV's CIFAR-10 networks use other statistics
        return TrainedWith(None, None if own else DEFAULT_INTERPOLATION)
    if kind in ("caffemodel", "onnx"):
        return TrainedWith("caffe", DEFAULT_INTERPOLATION)
    return TrainedWith("imagenet" if kind == "params" else twin_colors(backbone, parameters), DEFAULT_INTERPOLATION)


def _preprocessing_beside(path: Path) -> Preprocessing | None:
    """Return the preprocessing of the model card in the folder of the weights; None without an intact card."""
    card = path.parent / CARD_FILE
    try:
        return ModelCard.from_json(card.read_text(encoding="utf-8"), str(card)).preprocessing
    except (OSError, UnicodeDecodeError, RunError):
        return None
