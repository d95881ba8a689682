"""Serve on a port: in this process, or in several that share it."""

from __future__ import annotations

import logging
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError, RunError, Terminated
from serve_cli.http.access import is_loopback
from serve_cli.path_kinds import kind_of, may_be_model, wrong_kind

if TYPE_CHECKING:
    from serve_cli.http.serve_options import ServeOptions

log = logging.getLogger(__name__)
BACKLOG = 2048  # connections that wait to be accepted


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C. Answer pending requests, then raise `Terminated` or `KeyboardInterrupt`.

    SIGHUP reloads the model and the index.

    Raises
    ------
    ConfigError
        If listening on the address fails, or an option has an invalid value.
    LiftedError
        If the model or the index cannot be opened.
    """
    if kind_of(options.source) != "index" and not may_be_model(options.source):
        raise RunError(wrong_kind(options.source, "model" if options.source.suffix == ".onnx" else "index or model"))
    listener = listen(options.host, options.port)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info("lifted: serving %s on http://%s:%d", options.source, shown, port)
    if options.token_file is None and not is_loopback(options.host):
        log.warning("lifted: everyone who can reach this port has access; require tokens with --token-file.")
    if options.workers > 1:
        from serve_cli.http.workers import Workers

        received = Workers(options, listener).run()
    else:
        received = serve_in_process(options, listener)
    raise Terminated if received == signal.SIGTERM else KeyboardInterrupt


def serve_in_process(options: ServeOptions, listener: socket.socket, parent: int | None = None) -> int:
    """Serve in this process and return the signal that ended it.

    Parameters
    ----------
    options : ServeOptions
        What to serve.
    listener : socket
        From `listen`. It is closed at the end.
    parent : int, optional
        File descriptor of a socket to the process that supervises this one.
    """
    from serve_cli.http.app import make_app
    from serve_cli.http.draining_server import DrainingServer

    limits = options.limits
    app = make_app(options, opens_itself=False)
    server = DrainingServer(app, listener, limits.seconds + limits.body_seconds)
    if parent is not None:
        server.report_to(parent)
    server.run_until_signal()
    return server.received or signal.SIGTERM


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address. Raises `ConfigError` if that fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            undo.pop_all()
            return listener
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port} ({error.strerror}); choose another with --host and --port."
        ) from None
