"""Say where a run's sizes differ from its weights' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.images import Preprocessing


def size_note(recommended: Preprocessing | None, config: TrainConfig) -> str:
    """Return a clause for the user; empty if sizes and fit are the recommended ones, or none are known.

    Sizes do not follow the weights automatically: 224 px instead of 112 take four times as long.
    """
    if recommended is None:
        return ""
    names = ("crop", "resize", "fit")
    wanted, used = (
        " ".join(f"--{name} {getattr(settings, name)}" for name in names) for settings in (recommended, config)
    )
    return "" if wanted == used else f"its publisher evaluated these weights with {wanted}; this run uses {used}."
