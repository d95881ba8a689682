"""The best recall measured so far. It is part of a checkpoint, so that a killed run still knows it when resumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gluon_lifted.config.train_config import TrainConfig

ENOUGH_CLASSES = 5  # to choose weights by; recall among fewer is high and says little
MOST_MEASUREMENTS = 20  # of a run, unless --eval-every says otherwise
LARGEST_SHARE = 0.05  # of the computation that measuring may take
FORWARD_SHARE = 1 / 3  # a forward pass alone, of the computation of training on the same images


@dataclass
class BestRecall:
    """The best recall@1 so far.

    Parameters
    ----------
    iteration : int
        Iteration after which it was measured; the earliest if several are equal. -1: none was measured.
    recall : float
        Recall@1 of that iteration.
    measured_since : int
        Measurements since then.
    """

    iteration: int = -1
    recall: float = -1.0
    measured_since: int = 0

    @property
    def known(self) -> bool:
        """Whether recall was measured at all."""
        return self.iteration >= 0

    def count(self, iteration: int, recall: float) -> bool:
        """Count a measurement. Return whether it is the best so far."""
        if recall > self.recall:
            self.iteration, self.recall, self.measured_since = iteration, recall, 0
            return True
        self.measured_since += 1
        return False

    def numbers(self) -> NDArray[np.float64]:
        """Return the three values as an array, for a checkpoint."""
        return np.array([self.iteration, self.recall, self.measured_since], np.float64)

    @staticmethod
    def from_numbers(numbers: NDArray[np.generic]) -> BestRecall:
        """Restore the state that `numbers` returned."""
        iteration, recall, measured_since = (float(number) for number in numbers)
        return BestRecall(int(iteration), recall, int(measured_since))


def settle_keep(
    config: TrainConfig, watched_kind: str, num_classes: int, on_note: Callable[[str], None]
) -> TrainConfig:
    """Decide whether ``--keep auto`` means best or last. Say so where the test classes affect the weights.

    Parameters
    ----------
    watched_kind : str
        ``"validation"`` or ``"test"``: what recall is measured on.
    num_classes : int
        Number of classes that recall is measured on.
    """
    held_out = watched_kind == "validation"
    if (config.keep == "best" or config.patience) and not held_out:
        on_note("the best weights are chosen by recall on the test classes, so do not report that recall as a result.")
    if config.keep != "auto" or config.iterations == 0:
        return config
    if not held_out:
        on_note(
            "keeping the last weights. Choosing the best ones by recall on the test classes would amount to training "
            "on them. To keep the best, hold out classes with --validation-classes."
        )
    elif num_classes < ENOUGH_CLASSES:
        on_note(
            f"keeping the last weights, because {num_classes} validation classes are too few to choose the best ones. "
            "To keep the best, raise --validation-classes."
        )
    return replace(config, keep="best" if held_out and num_classes >= ENOUGH_CLASSES else "last")


def iterations_between_measurements(config: TrainConfig, num_images: int) -> int:
    """Return ``eval_every``, or a default: 20 measurements a run, fewer if they took over 5 % of the computation.

    Parameters
    ----------
    num_images : int
        Images that recall is measured on.

    Returns
    -------
    int
        0 means only at the end.
    """
    if config.eval_every >= 0:
        return config.eval_every
    affordable = num_images * FORWARD_SHARE / (LARGEST_SHARE * config.batch_size)
    return math.ceil(max(config.iterations / MOST_MEASUREMENTS, affordable, 1))
