"""The commands of docs/serving.md: options that exist, paths that are served, defaults as they are."""

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

import typer
from starlette.routing import Match

from serve_cli.cli.commands.serve import serve
from serve_cli.http.metrics import Metrics
from serve_cli.http.routes import routes

TEXT = (Path(__file__).parent.parent / "docs/serving.md").read_text()
SHELL = "\n".join(code for kind, code in re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL) if not kind)


def parse(words):
    app = typer.Typer()
    app.command()(serve)
    return typer.main.get_command(app).make_context("serve", list(words)).params


def commands():
    return sorted(set(re.findall(r"^lifted serve (.*)$", SHELL, re.MULTILINE)))


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command, tmp_path):
    assert parse(shlex.split(command))["source"]


def test_curl_lines_ask_for_routes():
    """With the method that curl uses: POST with a body, else GET."""
    calls = re.findall(r"curl [^$`]*?(?=\n[{$]|\n\n|\Z)", SHELL.replace("$(", "("), re.DOTALL)
    assert len(calls) >= 8
    for call in calls:
        path = re.search(r"http://127\.0\.0\.1:8080(/[\w/.-]*)", call)[1]
        sends = re.search(r"--data-binary|--json|-F |-X POST", call)
        scope = {"type": "http", "path": path, "method": "POST" if sends else "GET", "root_path": ""}
        assert any(route.matches(scope)[0] is Match.FULL for route in routes()), call


def test_limits_are_the_defaults():
    table = re.findall(r"^\| `(--[\w-]+) (\S+)` \|", TEXT, re.MULTILINE)
    defaults = {f"--{name.replace('_', '-')}": value for name, value in parse(["model.onnx"]).items()}
    checked = [(option, value) for option, value in table if defaults[option] is not None]
    assert len(checked) >= 6
    for option, value in checked:
        assert type(defaults[option])(value) == defaults[option], option


def test_metrics_have_these_names():
    named = set(re.findall(r"`(lifted_\w+)`", TEXT))
    exposed = set(re.findall(r"^# TYPE (\w+) ", Metrics().exposition().decode(), re.MULTILINE))
    assert named <= exposed
