"""`lifted serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.shared_options import OnDevice, Threads

Source = Annotated[
    Path, typer.Argument(metavar="MODEL.onnx|INDEX", help="Serve this model, or this folder of `lifted index`.")
]
Host = Annotated[str, typer.Option("--host", help="Listen on this address; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Listen on this port; 0 for any free one.")]


def serve(
    source: Source,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    device: OnDevice = "cpu",
    threads: Threads = None,
) -> None:
    """Serve embeddings and search over HTTP, with a page to search with."""
    from serve_cli.http.packages import require_http_packages
    from serve_cli.http.serve_options import ServeOptions
    from serve_cli.model.model_options import ModelOptions

    require_http_packages()
    from serve_cli.http.server import serve as run

    run(ServeOptions(source=source, host=host, port=port, model_options=ModelOptions(device=device, threads=threads)))
