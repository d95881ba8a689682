"""Connect to Milvus or open Milvus Lite, and describe its errors in sentences."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from serve_cli.retrieval.load.targets.server_url import ServerUrl

EXAMPLE = "milvus://localhost:19530 or milvus:///folder/catalog.db"
OPTIONS = ("tls",)
PORT = 19_530
CONNECT_S = 30.0
TOKEN_VARIABLE = "MILVUS_TOKEN"
RATE_LIMIT = 8
NO_ANSWER = re.compile("server unavailable|UNAVAILABLE|DEADLINE_EXCEEDED|Fail connecting", re.IGNORECASE)
NO_RIGHT = re.compile("auth|permission|privilege|PermissionDenied", re.IGNORECASE)


def parse_url(url: str) -> ServerUrl:
    """Parse a URL. Raises `ConfigError`."""
    server = ServerUrl.parse(url, EXAMPLE, OPTIONS)
    if server.is_local and not server.path.endswith(".db"):
        raise ConfigError(f"--to names the file {server.path!r:.200}; Milvus Lite needs a name that ends with .db.")
    return server


def token(server: ServerUrl) -> str:
    """Return the token, or user and password, from the URL or the environment."""
    given = ":".join(filter(None, [server.user, server.password]))
    return given or os.environ.get(TOKEN_VARIABLE, "")


def connect(server: ServerUrl) -> MilvusClient:
    """Connect to a server, or open a file in this process."""
    logging.getLogger("pymilvus.decorators").setLevel(logging.CRITICAL)  # it logs each error that it raises, too
    if server.is_local:
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)  # Milvus Lite lacks calls that the client tries
        return MilvusClient(server.path)
    scheme = "https" if server.tls else "http"
    return MilvusClient(
        f"{scheme}://{server.host}:{server.port or PORT}",
        token=token(server),
        db_name=server.path.strip("/"),
        timeout=CONNECT_S,
    )


def disconnect(server: ServerUrl, client: MilvusClient) -> None:
    """Close a connection, and the database behind it if that is in this process."""
    client.close()
    if server.is_local:
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_server(server.path)


def check_local(server: ServerUrl) -> bool:
    """Return whether a local database exists. Raises `RunError` if it could not be created."""
    folder = Path(server.path).parent
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; create it, or name a file in another folder after milvus://.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(f"{folder}: this user may not write there; choose another folder after milvus://.")
    return Path(server.path).exists()


def is_transient(error: Exception) -> bool:
    """Whether a repeated call may succeed."""
    if not isinstance(error, MilvusException):
        return False
    return bool(error.retriable or error.code == RATE_LIMIT or NO_ANSWER.search(str(error)))


def explain(error: Exception, server: ServerUrl) -> LiftedError | None:
    """Describe an error of the client in a sentence, or return None for any other error."""
    if not isinstance(error, MilvusException):
        return None
    where = f"Milvus at {server.named(PORT)}"
    reason = server.hide(" ".join(str(error.message).split())[:300], token(server)).rstrip(".")
    if server.is_local and "Open local milvus failed" in reason:
        return RunError(
            f"{where}: cannot be opened; another process has it open, or it is damaged. End that "
            "process, or use another file."
        )
    if NO_RIGHT.search(reason):
        return RunError(f"{where}: refuses this user ({reason}); set {TOKEN_VARIABLE}, or ask for permission.")
    if NO_ANSWER.search(reason):
        return RunError(
            f"{where}: does not answer ({reason}); check host, port and ?tls=true, then load again to resume."
        )
    return RunError(f"{where}: {reason}; load again to resume.")
