"""Compare the pictures of a pair, to distinguish a duplicate from two images that the model confuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_cli.report.suspects import Pair, Suspects

SHOWN = 24  # largest number of pairs of each kind
SIDE = 16  # pixels per side that are compared
MOST_APART = 8.0  # gray levels of 255; copies that were saved again or slightly cropped stay below


def compare_pictures(suspects: Suspects, pictures: Mapping[int, Image.Image]) -> Suspects:
    """Select the pairs to show, at most 24 of each kind: pairs that look the same first, then by distance."""
    return replace(
        suspects,
        duplicates=_shown(suspects.duplicates, pictures),
        label_errors=_shown(suspects.label_errors, pictures),
    )


def _shown(pairs: tuple[Pair, ...], pictures: Mapping[int, Image.Image]) -> tuple[Pair, ...]:
    judged = [
        pair._replace(alike=gray_difference(pictures[pair.first], pictures[pair.second]) <= MOST_APART)
        if pair.first in pictures and pair.second in pictures
        else pair
        for pair in pairs
    ]
    return tuple(sorted(judged, key=lambda pair: not pair.alike)[:SHOWN])


def gray_difference(first: Image.Image, second: Image.Image) -> float:
    """Compute the mean absolute difference of gray levels, 0-255, of both pictures at 16 x 16 px."""
    gray = [
        np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
        for picture in (first, second)
    ]
    return float(np.abs(gray[0] - gray[1]).mean())
