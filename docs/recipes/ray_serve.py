"""`lifted serve` as a deployment of Ray Serve, from the same application.

serve run ray_serve:build source=/data/catalog.index token_file=/etc/lifted/tokens.txt
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ray import serve

from serve_cli.http.serve_options import ServeOptions
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from serve_cli.http.app import Application

THREADS = 2  # of each replica


def build(arguments: dict[str, str]) -> serve.Application:
    """Describe the deployment. Every node needs the package and the same path to the index or model."""
    token_file = arguments.get("token_file")
    options = ServeOptions(
        source=Path(arguments["source"]),
        token_file=Path(token_file) if token_file else None,
        host="0.0.0.0",  # Ray listens; this says that others than this host ask
        max_memory=1_000_000_000,
        model_options=ModelOptions(threads=THREADS),
    )

    def app() -> Application:  # runs in each replica, which opens the model before it is ready
        from serve_cli.http.app import make_app

        return make_app(options)

    deployment = serve.deployment(
        serve.ingress(app)(),
        name="lifted",
        ray_actor_options={"num_cpus": THREADS, "memory": options.max_memory},
        autoscaling_config={"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 16},
        max_ongoing_requests=2 * options.max_waiting,  # the queue of the application refuses, with 429
        graceful_shutdown_timeout_s=options.limits.seconds + options.limits.body_seconds,
    )
    return deployment.bind()
