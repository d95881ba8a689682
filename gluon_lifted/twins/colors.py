"""Input colors of a twin's ImageNet weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

# torchvision ported these from TensorFlow, with its colors. The parameter is missing in timm's files of inception_v3:
# some have TensorFlow's colors, GluonCV's port has ImageNet's.
FROM_TENSORFLOW = {"googlenet_bn": "conv1.conv.weight", "inceptionv3": "AuxLogits.fc.weight"}


def twin_colors(backbone: str, parameters: Container[str]) -> str | None:
    """Return the input colors that a file of the twin's ImageNet weights was trained with.

    Parameters
    ----------
    parameters : container of str
        Names in the file.

    Returns
    -------
    str or None
        A key of `gluon_lifted.images.colors.COLORS`; None if the names do not show it.

    Examples
    --------
    >>> twin_colors("resnet50_v1b", {"conv1.weight"})
    'imagenet'
    >>> twin_colors("inceptionv3", {"AuxLogits.fc.weight", "fc.weight"})
    'inception'
    >>> twin_colors("inceptionv3", {"fc.weight"}) is None
    True
    """
    if backbone not in FROM_TENSORFLOW:
        return "imagenet"
    return "inception" if FROM_TENSORFLOW[backbone] in parameters else None
