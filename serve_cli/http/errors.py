"""Errors -> replies, in OpenAI's form: ``{"error": {"message", "type", "status"}}``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gluon_lifted.errors import ConfigError, DataError, LiftedError
from serve_cli.http.batching.errors import DeadlineError, QueueFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)
JSON = "application/json"
KINDS = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "unprocessable",
    429: "overloaded",
    499: "client_left",
    500: "internal_error",
    503: "unavailable",
    504: "deadline_exceeded",
}
BUG = "the server failed on this request; its log says why."
RETRY_S = 1  # suggested after 503


class RequestError(LiftedError):
    """A request that is refused.

    Parameters
    ----------
    status : int
        HTTP status of the reply.
    message : str
        What is wrong, and what was expected.
    details : mapping, optional
        Further fields of ``error`` in the reply, such as ``position``.
    headers : mapping, optional
        Further headers of the reply.
    """

    def __init__(
        self,
        status: int,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.details, self.headers = status, dict(details or {}), dict(headers or {})


class ClientLeftError(LiftedError):
    """The client closed the connection, so no reply can be sent."""


def as_request_error(error: Exception, private: Iterable[Path] = ()) -> RequestError:
    """Return the error that the client sees.

    Parameters
    ----------
    error : Exception
        What an endpoint raised. Bugs are logged with their traceback, which stays here.
    private : iterable of Path
        Replaced by their last part in messages.
    """
    match error:
        case RequestError():
            return error
        case ClientLeftError():
            refusal = RequestError(499, str(error))
        case QueueFullError():
            refusal = RequestError(429, str(error), headers={"Retry-After": str(error.retry_after)})
        case DeadlineError():
            refusal = RequestError(504, str(error))
        case HTTPException():  # of Starlette's router
            refusal = RequestError(error.status_code, f"{error.detail}.", headers=error.headers)
        case DataError() | ConfigError():
            refusal = RequestError(422, _without_folders(str(error), private))
        case LiftedError():  # a damaged index, a device out of memory
            log.error("lifted: %s", error)
            refusal = RequestError(500, BUG)
        case _:
            log.error("lifted: this is a bug, please report it:", exc_info=error)
            refusal = RequestError(500, BUG)
    return refusal


def error_response(error: RequestError, path: str = "") -> Response:
    """Format an error: below ``/v2`` as KServe does, elsewhere as OpenAI does."""
    headers = dict(error.headers)
    if error.status == 503:
        headers.setdefault("Retry-After", str(RETRY_S))
    kind = KINDS.get(error.status, "error")
    described = {"message": str(error), "type": kind, "status": error.status, **error.details}
    content = {"error": str(error) if path.startswith("/v2") else described}
    return Response(orjson.dumps(content), error.status, headers, JSON)


def release_frames(error: BaseException | None) -> None:
    """Remove the tracebacks of an error and of its causes.

    Their frames hold the request's body and the error itself: a cycle that only the garbage collector would free.
    """
    while error is not None and error.__traceback__ is not None:  # so a cycle of causes ends, too
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _without_folders(message: str, private: Iterable[Path]) -> str:
    for path in private:
        message = message.replace(str(path), path.name)
    return message


def not_shown(name: str) -> RequestError:
    """Say that a picture cannot be shown, but not why: the reasons are about the server's files."""
    return RequestError(404, f"the picture of the id {name!r:.100} cannot be shown.")
