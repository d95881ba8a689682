"""Limits of a request."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gluon_lifted.errors import ConfigError

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What a request may ask for.

    Parameters
    ----------
    body_bytes : int
        Largest body of a request, in bytes.
    images : int
        Maximum number of images in a request.
    pixels : int
        Maximum number of pixels of an image, as stored.
    k : int
        Maximum number of rows that a search returns.
    seconds : float
        Time for an answer, from the first byte of the request on. Work that would end later is dropped.
    body_seconds : float
        Time for a body to arrive.

    Raises
    ------
    ConfigError
        If a limit is not positive.
    """

    body_bytes: int = 32 * MEBIBYTE
    images: int = 64
    pixels: int = 64_000_000
    k: int = 1000
    seconds: float = 30.0
    body_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"the limit {field.name} is {getattr(self, field.name)}; expected more than 0.")
