"""docs/recipes/kubernetes.yaml fits the command: its probes, options and times."""

from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("starlette", reason="the service needs the extra http")

import typer

from serve_cli.cli.commands.serve import serve
from serve_cli.http.access import PUBLIC
from serve_cli.http.draining_server import SLACK_S
from serve_cli.http.limits import RequestLimits
from serve_cli.http.routes import routes

RECIPE = Path(__file__).parents[3] / "docs/recipes/kubernetes.yaml"
DEPLOYMENT, SERVICE = yaml.safe_load_all(RECIPE.read_text())
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def parameters():
    """Options of the command in the recipe, as Typer reads them."""
    app = typer.Typer()
    app.command()(serve)
    program, name, *words = [*CONTAINER["command"], *CONTAINER["args"]]
    assert (program, name) == ("lifted", "serve")
    return typer.main.get_command(app).make_context("serve", words).params


def test_the_command_parses_and_listens_where_the_port_says():
    values = parameters()
    (port,) = CONTAINER["ports"]
    assert values["host"] == "0.0.0.0"
    assert values["port"] == port["containerPort"]
    assert SERVICE["spec"]["ports"][0]["targetPort"] == port["name"]
    assert SERVICE["spec"]["selector"] == DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    assert int(CONTAINER["resources"]["requests"]["cpu"]) == values["threads"]


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_ask_routes_that_need_no_token(probe):
    path = CONTAINER[probe]["httpGet"]["path"]
    assert path in {route.path for route in routes()}
    assert path in PUBLIC
    assert path == ("/live" if probe == "livenessProbe" else "/ready")


def test_a_pod_has_the_time_to_drain():
    limits = RequestLimits(seconds=parameters()["timeout"])
    _, pause = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    longest = int(pause) + limits.seconds + limits.body_seconds + SLACK_S
    assert POD["terminationGracePeriodSeconds"] > longest


def test_files_of_the_command_are_mounted():
    values = parameters()
    mounts = [mount["mountPath"] for mount in CONTAINER["volumeMounts"]]
    for path in (values["source"], values["model"], values["token_file"]):
        assert any(str(path).startswith(f"{mount}/") for mount in mounts)
    volumes = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
