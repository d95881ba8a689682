"""`lifted serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gluon_lifted.extras import require_extras
from serve_cli.cli.shared_options import (
    AllowFallback,
    BatchSize,
    NoCache,
    OnDevice,
    Relaxed,
    Sessions,
    Threads,
    parse_names,
    parse_size,
)

ACCESS, LIMITS, MODEL = "Access", "Limits", "Model"

Source = Annotated[
    Path, typer.Argument(metavar="MODEL.onnx|INDEX", help="Serve this model, or this folder of `lifted index`.")
]
Host = Annotated[
    str,
    typer.Option(
        "--host",
        metavar="ADDRESS",
        help="Listen on this address. 0.0.0.0 stands for all of this host.",
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Listen on this port. 0 chooses a free one.",
    ),
]
NumWorkers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=1024,
        help="Run this many processes behind the port.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Require a bearer token of this file, which has one per line.",
    ),
]
AllowUrls = Annotated[
    str | None,
    typer.Option(
        "--allow-urls",
        metavar="HOST,...",
        help="Fetch images that requests name by URL from these hosts.",
        rich_help_panel=ACCESS,
    ),
]
NoAccessLog = Annotated[
    bool,
    typer.Option("--no-access-log", help="Do not write a line of JSON per request to stderr.", rich_help_panel=ACCESS),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Keep the memory of each process below this size, such as 1GB.",
        show_default="half the usable memory, for all processes together",
    ),
]
MaxWaiting = Annotated[
    int,
    typer.Option(
        "--max-waiting",
        metavar="N",
        min=1,
        help="Let this many images wait for the network. Refuse further ones with status 429.",
        rich_help_panel=LIMITS,
    ),
]
MaxBody = Annotated[
    str, typer.Option("--max-body", metavar="SIZE", help="Limit the body of a request.", rich_help_panel=LIMITS)
]
MaxImages = Annotated[
    int, typer.Option("--max-images", metavar="N", min=1, help="Limit the images of a request.", rich_help_panel=LIMITS)
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", metavar="N", min=1, help="Limit the pixels of an image.", rich_help_panel=LIMITS)
]
MaxK = Annotated[
    int, typer.Option("--max-k", metavar="N", min=1, help="Limit the rows of a search.", rich_help_panel=LIMITS)
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="Answer within this time, or with status 504.",
        rich_help_panel=LIMITS,
    ),
]
IndexModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="MODEL.onnx",
        help="Use this file as the index's model.",
        show_default="the file that the index names",
        rich_help_panel=MODEL,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Give the model this name in replies.",
        show_default="from the model's card",
        rich_help_panel=MODEL,
    ),
]


def serve(
    source: Source,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    workers: NumWorkers = 1,
    token_file: TokenFile = None,
    allow_urls: AllowUrls = None,
    no_access_log: NoAccessLog = False,
    max_memory: MaxMemory = None,
    max_waiting: MaxWaiting = 128,
    max_body: MaxBody = "32MiB",
    max_images: MaxImages = 64,
    max_pixels: MaxPixels = 64_000_000,
    max_k: MaxK = 1000,
    timeout: Timeout = 30.0,
    model: IndexModel = None,
    name: Name = None,
    device: OnDevice = "cpu",
    threads: Threads = None,
    sessions: Sessions = None,
    batch_size: BatchSize = None,
    allow_fallback: AllowFallback = False,
    relaxed: Relaxed = False,
    no_cache: NoCache = False,
) -> None:
    """Serve embeddings and search over HTTP, with a search page.

    Images of concurrent requests are embedded in batches. An idle server embeds
    an image at once. Embeddings are those of `lifted embed`.

    On SIGTERM, the server answers the requests already sent, and exits with 143.
    SIGHUP, or POST /admin/reload with a token, opens the model and the index
    again, and keeps the old ones if the new ones do not belong together.

    GET /openapi.json describes all endpoints, GET /metrics is for Prometheus.

    [bold]Examples[/bold]

      lifted serve model.onnx

      curl --data-binary @photo.jpg http://127.0.0.1:8080/embed

      lifted serve catalog.index --host 0.0.0.0 --token-file tokens.txt

      lifted serve model.onnx --workers 4 --max-memory 1GB
    """
    from serve_cli.http.limits import RequestLimits
    from serve_cli.http.serve_options import ServeOptions
    from serve_cli.model.model_options import ModelOptions

    require_extras("lifted serve", "serve", "http")
    from serve_cli.http.server import serve as run

    run(
        ServeOptions(
            source=source,
            model=model,
            name=name,
            host=host,
            port=port,
            token_file=token_file,
            workers=workers,
            allow_urls=tuple(parse_names(allow_urls, "--allow-urls")),
            max_memory=None if max_memory is None else parse_size(max_memory),
            max_waiting=max_waiting,
            access_log=not no_access_log,
            limits=RequestLimits(
                body_bytes=parse_size(max_body), images=max_images, pixels=max_pixels, k=max_k, seconds=timeout
            ),
            model_options=ModelOptions(
                device=device,
                threads=threads,
                sessions=sessions,
                batch_size=batch_size,
                allow_fallback=allow_fallback,
                relaxed=relaxed,
                cache=not no_cache,
            ),
        )
    )
