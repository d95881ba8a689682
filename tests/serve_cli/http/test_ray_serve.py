"""docs/recipes/ray_serve.py on a cluster of one host: the same embeddings, tokens and errors as `lifted serve`."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own
REASON = "needs Ray Serve, in an environment of its own (make test-engines)"
ROOT = Path(__file__).parents[3]
TOKEN = "a token for the tests"


def recipe():
    spec = spec_from_file_location("ray_serve", ROOT / "docs/recipes/ray_serve.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def url(model, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason=REASON)
    serve = pytest.importorskip("ray.serve", reason=REASON)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'docs/recipes'}")
    (tmp_path / "tokens.txt").write_text(TOKEN)
    port = free_port()
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(recipe().build({"source": str(model), "token_file": str(tmp_path / "tokens.txt")}))
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def ask(url, content=None, token=TOKEN):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.slow
def test_requests_reach_the_application(url, model, tmp_path):
    from serve_cli.model.embedder import Embedder
    from serve_cli.model.model_options import ModelOptions
    from tests.serve_cli.photos import photo

    content = photo(tmp_path / "photo.png").read_bytes()
    with Embedder(model, ModelOptions(threads=1)) as embedder:
        expected = embedder.embed_files([content])
    assert ask(f"{url}/ready") == (200, b"ready\n")
    status, body = ask(f"{url}/embed", content)
    assert status == 200
    np.testing.assert_array_equal(np.float32(json.loads(body)["embeddings"]), expected)
    assert ask(f"{url}/embed", content, token="another")[0] == 401
    assert ask(f"{url}/embed", b"no image")[0] == 422
