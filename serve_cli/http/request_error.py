"""A request that cannot be answered, and the status that says so."""

from __future__ import annotations

from gluon_lifted.errors import LiftedError

BAD_REQUEST, FORBIDDEN, NOT_FOUND, TOO_LARGE, UNSUPPORTED, UNPROCESSABLE = 400, 403, 404, 413, 415, 422


class RequestError(LiftedError):
    """A request cannot be answered as it was sent. The message goes to the client, so it never names a server's path.

    Parameters
    ----------
    message : str
        What is wrong, where, what was expected, what to do.
    status : int
        HTTP status, 400 to 599.
    position : int, optional
        Index of the wrong character in a condition.
    """

    def __init__(self, message: str, status: int = BAD_REQUEST, *, position: int | None = None) -> None:
        super().__init__(message)
        self.status, self.position = status, position
