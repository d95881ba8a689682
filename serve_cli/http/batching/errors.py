"""Errors of a busy service."""

from __future__ import annotations

from gluon_lifted.errors import LiftedError


class QueueFullError(LiftedError):
    """Too much work is already waiting.

    Parameters
    ----------
    message : str
        What is full.
    retry_after : int
        Seconds until there should be room.
    """

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(LiftedError):
    """The answer would come too late."""
