from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")


@pytest.fixture
def served(monkeypatch):
    """The options that the command serves."""
    options = []
    monkeypatch.setattr("serve_cli.http.server.serve", options.append)
    return options


def test_every_option_reaches_the_service(lifted, served, tmp_path):
    words = (
        "--host 0.0.0.0 --port 0 --workers 3 --allow-urls a.org,b.org --no-access-log --max-memory 1GB --max-waiting 9"
    )
    words += (
        " --max-body 2kB --max-images 8 --max-pixels 100 --max-k 7 --timeout 1.5 --name mine --threads 2 --sessions 1"
    )
    words += " --batch-size 4 --no-cache"
    status, _, errors = lifted("serve", tmp_path, *words.split(), "--token-file", "t", "--model", "m.onnx")
    assert (status, errors) == (0, "")
    (options,) = served
    assert (options.source, options.host, options.port, options.workers) == (tmp_path, "0.0.0.0", 0, 3)
    assert (str(options.token_file), str(options.model), options.name) == ("t", "m.onnx", "mine")
    assert options.allow_urls == ("a.org", "b.org")
    assert (options.access_log, options.max_memory, options.max_waiting) == (False, 1_000_000_000, 9)
    limits = options.limits
    assert (limits.body_bytes, limits.images, limits.pixels, limits.k, limits.seconds) == (2000, 8, 100, 7, 1.5)
    model = options.model_options
    assert (model.threads, model.sessions, model.batch_size, model.cache) == (2, 1, 4, False)


def test_the_defaults_are_those_of_the_library(lifted, served, tmp_path):
    from serve_cli.http.serve_options import ServeOptions

    assert lifted("serve", tmp_path)[0] == 0
    assert served == [ServeOptions(source=tmp_path)]


def test_a_missing_package_is_named_with_its_extra(lifted, served, monkeypatch, tmp_path):
    monkeypatch.setattr("gluon_lifted.extras.util.find_spec", lambda name: None if name == "uvicorn" else name)
    status, _, errors = lifted("serve", tmp_path)
    assert status == 1
    assert "not installed: uvicorn. Install them: `pip install" in errors
    assert "[http]'" in errors
    assert served == []


def test_options_that_cannot_be_met(lifted, served, tmp_path):
    status, _, errors = lifted("serve", tmp_path, "--max-waiting", "3")
    assert (status, served) == (1, [])
    assert "--max-waiting" in errors


def test_serving_a_model_alone_imports_no_arrow():
    code = "import sys, serve_cli.http.app, serve_cli.http.draining_server; print('pyarrow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout == "False\n"
