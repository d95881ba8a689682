"""Read the preprocessing in timm's ``config.json`` on the Hugging Face hub."""

from __future__ import annotations

import math
from typing import Any

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION, INTERPOLATIONS
from gluon_lifted.images.preprocessing import Preprocessing


def preprocessing_of_hub(config: dict[str, Any], where: str) -> Preprocessing | None:
    """Build the preprocessing that timm evaluates with, from ``pretrained_cfg``; None if the file has no such field.

    Raises
    ------
    DataError
        If the field does not hold what timm writes.
    """
    fields = config.get("pretrained_cfg")
    if not isinstance(fields, dict):
        return None
    try:
        crop = int(min(fields["input_size"][1:]))
        interpolation = fields.get("interpolation")
        return Preprocessing(
            resize=max(crop, math.floor(crop / float(fields["crop_pct"]))),
            crop=crop,
            mean=_of_255(fields["mean"]),
            std=_of_255(fields["std"]),
            fit="cover",
            interpolation=interpolation if interpolation in INTERPOLATIONS else DEFAULT_INTERPOLATION,
        )
    except (ConfigError, KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise DataError(f"{where}: pretrained_cfg in its config.json is damaged ({error!r:.200}).") from None


def _of_255(values: Any) -> tuple[float, float, float]:
    """Scale three statistics of pixels of 0-1 to pixels of 0-255, without the digits that rounding adds."""
    red, green, blue = (round(255 * float(value), 6) for value in values)
    return red, green, blue
