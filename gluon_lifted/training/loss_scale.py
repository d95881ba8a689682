"""Loss scaling: a factor on the loss's gradient that lets small gradients survive float16."""

from __future__ import annotations

FIRST_SCALE, LARGEST_SCALE = 2.0**16, 2.0**24  # as in MXNet AMP (contrib/amp/loss_scaler.py); next line too
DOUBLE_AFTER = 2000  # consecutive good steps
SMALLEST_SCALE = 1.0  # a gradient that overflows without a factor is the network's, not the factor's


class LossScale:
    """A factor on the gradient of the loss during the backward pass.

    Parameters
    ----------
    dynamic : bool
        Search for the largest factor that works. Otherwise it is 1: float32 and bfloat16 have the same range.

    Notes
    -----
    The factor is halved when a gradient overflows, and doubled after 2,000 steps without overflow (Micikevicius et al.
    2018, "Mixed precision training", section 3.2).
    """

    def __init__(self, *, dynamic: bool) -> None:
        self.dynamic = dynamic
        self.value = FIRST_SCALE if dynamic else 1.0
        self.good_steps = 0

    @property
    def can_fall(self) -> bool:
        """Whether a smaller factor is left to try: an overflow is then part of the search, not divergence."""
        return self.dynamic and self.value > SMALLEST_SCALE

    def adapt(self, *, finite: bool) -> None:
        """Change the factor after a backward pass with it."""
        if not self.dynamic:
            return
        self.good_steps = self.good_steps + 1 if finite else 0
        if not finite:
            self.value = max(self.value / 2, SMALLEST_SCALE)
        elif self.good_steps % DOUBLE_AFTER == 0:
            self.value = min(2 * self.value, LARGEST_SCALE)
