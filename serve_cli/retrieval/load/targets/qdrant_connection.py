"""Connect to Qdrant, and describe its errors in sentences."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from serve_cli.retrieval.load.targets.server_url import ServerUrl

EXAMPLE = "qdrant://localhost:6333 or qdrant:///folder"
OPTIONS = ("tls", "grpc_port")
PORT, GRPC_PORT = 6333, 6334
TIMEOUT_S = 120  # a call that waits until rows are written
KEY_VARIABLE = "QDRANT_API_KEY"
TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})
TRANSIENT_STATUS = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
FORBIDDEN = frozenset({401, 403, "UNAUTHENTICATED", "PERMISSION_DENIED"})


def parse_url(url: str) -> ServerUrl:
    """Parse a URL. Raises `ConfigError`."""
    server = ServerUrl.parse(url, EXAMPLE, OPTIONS)
    if not server.options.get("grpc_port", str(GRPC_PORT)).isdecimal():
        raise ConfigError("--to has a grpc_port that is not a number; write ?grpc_port=6334.")
    return server


def api_key(server: ServerUrl) -> str | None:
    """Return the key from the URL or the environment."""
    return server.password or server.user or os.environ.get(KEY_VARIABLE) or None


def connect(server: ServerUrl) -> QdrantClient:
    """Connect by gRPC, or by REST where the gRPC port does not answer."""
    if server.is_local:
        return QdrantClient(path=server.path)
    client = _remote(server, prefer_grpc=True)
    try:
        client.collection_exists("lifted")
    except grpc.RpcError as error:
        if _status(error) not in ("UNAVAILABLE", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"):
            raise
        client.close()
        client = _remote(server, prefer_grpc=False)
        client.collection_exists("lifted")
    return client


def _remote(server: ServerUrl, *, prefer_grpc: bool) -> QdrantClient:
    return QdrantClient(
        host=server.host,
        port=server.port or PORT,
        grpc_port=int(server.options.get("grpc_port", GRPC_PORT)),
        prefer_grpc=prefer_grpc,
        https=server.tls,
        api_key=api_key(server),
        prefix=server.path.strip("/") or None,
        timeout=TIMEOUT_S,
        check_compatibility=False,  # it warns, but all that is used here is old
    )


def check_local(server: ServerUrl) -> bool:
    """Return whether a local database exists. Raises `RunError` if it could not be created."""
    folder = Path(server.path)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise RunError(f"{nearest}: is a file, expected a folder; choose another after qdrant://.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RunError(f"{nearest}: this user may not write there; choose another folder after qdrant://.")
    return (folder / "meta.json").exists()


def is_transient(error: Exception) -> bool:
    """Whether a repeated call may succeed."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code in TRANSIENT_CODES
    if isinstance(error, grpc.RpcError):
        return _status(error) in TRANSIENT_STATUS
    return isinstance(error, (ResponseHandlingException, ResourceExhaustedResponse))


def explain(error: Exception, server: ServerUrl) -> LiftedError | None:
    """Describe an error of the client in a sentence, or return None for any other error."""
    where = f"Qdrant at {server.named(PORT)}"
    if isinstance(error, RuntimeError) and "already accessed by another instance" in str(error):
        return RunError(f"{where}: another process has this folder open; wait until it ends.")
    if not isinstance(error, (UnexpectedResponse, grpc.RpcError, ResponseHandlingException, ResourceExhaustedResponse)):
        return None
    code: Any = getattr(error, "status_code", None) or _status(error)
    if code in FORBIDDEN:
        return RunError(f"{where}: refuses this key ({code}); set {KEY_VARIABLE} to one that may write collections.")
    reason = server.hide(_reason(error), api_key(server) or "")
    if isinstance(error, ResponseHandlingException) or code == "UNAVAILABLE":
        return RunError(
            f"{where}: does not answer ({reason}); check host, port and ?tls=true, then load again to resume."
        )
    return RunError(f"{where}: {reason.rstrip('.')}; load again to resume.")


def _status(error: Exception) -> str | None:
    """Return the name of a gRPC status."""
    code = getattr(error, "code", None)
    return str(code().name) if callable(code) and code() is not None else None


def _reason(error: Exception) -> str:
    """Return what the server or the network says, in one line."""
    details = getattr(error, "details", None)
    if callable(details):
        return str(details())[:300]
    if isinstance(error, UnexpectedResponse):
        return f"{error.status_code} {error.content[:300].decode('utf-8', 'replace')}"
    return " ".join(str(error).split())[:300]
