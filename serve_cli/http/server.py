"""Run the application with uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from serve_cli.http.app import make_app

if TYPE_CHECKING:
    from serve_cli.http.serve_options import ServeOptions


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        make_app(options),
        host=options.host,
        port=options.port,
        lifespan="on",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        server_header=False,
    )
    uvicorn.Server(config).run()
