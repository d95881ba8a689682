"""The application on an index of photographs, in this process."""

import base64
from contextlib import contextmanager

from starlette.testclient import TestClient

from serve_cli.http.app import make_app
from serve_cli.http.limits import RequestLimits
from serve_cli.http.serve_options import ServeOptions
from serve_cli.model.model_options import ModelOptions

LIMITS = RequestLimits(body_bytes=1 << 20, images=4, pixels=1_000_000, k=100)
MODEL = ModelOptions(threads=1, batch_size=2)


@contextmanager
def serving(source, remote_images=None, **options):
    """A client that gets what a real one would, also for bugs."""
    app = make_app(
        ServeOptions(source=source, limits=LIMITS, model_options=MODEL, access_log=False, max_memory=8 << 30, **options)
    )
    if remote_images is not None:
        app.remote_images = remote_images
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def base64_of(path):
    return base64.b64encode(path.read_bytes()).decode()


def error_of(response, status):
    """The message of an error in the documented form."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    if isinstance(error, str):
        return error
    assert error["status"] == status
    assert error["type"]
    return error["message"]
