"""Dockerfile and compose.yaml: files, options, ports and users that exist and agree. No image is built here."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

import typer

from serve_cli.cli.main import app

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    if line
]
COMPOSE_TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
KUBERNETES = next(yaml.safe_load_all((ROOT / "docs/recipes/kubernetes.yaml").read_text()))["spec"]["template"]["spec"]


def arguments(instruction):
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def parse(words):
    """Parse a `lifted` command as the command line does, and return its parameters."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]
    return command.make_context(words[0], list(words[1:])).params


def commands_in(text):
    """The `lifted` commands that the comments of a file name, by their first words."""
    lines = re.findall(r"^# +docker (?:run|compose run) .*?\blifted (\S+ .*)$", text, re.MULTILINE)
    return {line.split()[0]: parse(shlex.split(line)) for line in lines}


NAMED = commands_in(COMPOSE_TEXT)
SERVED = parse(SERVICES["serve"]["command"])


def mounts(service):
    return {volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES[service]["volumes"]}


def ignored(path):
    """Whether .dockerignore keeps a path out: the last line that matches decides."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    last = [line for line in lines if fnmatch(path, line.lstrip("!").removeprefix("**/"))][-1]
    return not last.startswith("!")


def test_what_the_dockerfile_copies_exists_and_reaches_the_builder():
    sources = [source for rest in arguments("COPY") if "--from" not in rest for source in shlex.split(rest)[:-1]]
    assert {"pyproject.toml", "gluon_lifted", "export", "serve_cli", ".ci/constraints-serve.txt"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if ignored(source)] == []
    assert all(map(ignored, [".env", "secrets", "photos", "models", ".git", "tests", "__pycache__"]))


def test_the_packages_are_extras_of_the_project():
    project = (ROOT / "pyproject.toml").read_text()
    known = set(re.findall(r"^([a-z][a-z-]*) = \[", project, re.MULTILINE))
    (extras,) = re.findall(r'"\.\[\$\{RUNTIME\},(.*)\]"', DOCKERFILE)
    runtimes = {*re.findall(r"^ARG RUNTIME=(\S+)", DOCKERFILE, re.MULTILINE), *re.findall(r"RUNTIME=(\S+)", DOCKERFILE)}
    assert runtimes == {"serve", "serve-gpu"}
    assert {*extras.split(","), *runtimes, "serve-openvino"} <= known


def test_the_image_installs_pinned_packages_and_keeps_no_cache():
    (install,) = [rest for rest in arguments("RUN") if " install " in rest and "pip" in rest]
    assert "--no-cache-dir" in install
    assert "-c .ci/constraints-serve.txt" in install
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / ".ci/constraints-serve.txt").read_text(), re.MULTILINE))
    assert {"onnxruntime", "onnxruntime-gpu", "faiss-cpu", "psycopg", "uvicorn", "s3fs", "jinja2"} <= pinned


def test_user_and_port_are_those_of_the_kubernetes_recipe():
    (user,), (port,) = arguments("USER"), arguments("EXPOSE")
    context, container = KUBERNETES["securityContext"], KUBERNETES["containers"][0]
    assert user == f"{context['runAsUser']}:{context['fsGroup']}"
    assert f"--uid {context['runAsUser']} " in arguments("RUN")[1]
    assert int(port) == container["ports"][0]["containerPort"]
    assert f"127.0.0.1:{port}/ready" in arguments("HEALTHCHECK")[0]
    assert parse(["serve", "model.onnx"])["port"] == int(port)


def test_comments_name_commands_that_parse():
    assert set(commands_in(DOCKERFILE)) == {"embed", "serve"}
    assert set(NAMED) == {"embed", "index", "load"}


def test_compose_serves_the_index_that_its_comments_build():
    assert NAMED["embed"]["out"] == NAMED["index"]["source"] == NAMED["load"]["source"]
    assert SERVED["source"] == NAMED["index"]["out"]
    assert SERVED["host"] == "0.0.0.0"
    assert SERVICES["serve"]["ports"] == [f"127.0.0.1:8080:{SERVED['port']}"]


def test_compose_mounts_paths_alike():
    """The index names the model and the photographs by their paths, so both services need the same ones."""
    for path in (NAMED["embed"]["model"], NAMED["embed"]["photos"], NAMED["embed"]["out"]):
        root = f"/{Path(path).parts[1]}"
        assert mounts("lifted")[root] == mounts("serve")[root]
    volumes = {mount for service in SERVICES for mount in mounts(service).values() if "/" not in mount}
    assert volumes == set(COMPOSE["volumes"])


def test_compose_options_are_those_of_the_kubernetes_recipe():
    """Except for the paths, and the threads, which Kubernetes must limit."""
    container = KUBERNETES["containers"][0]
    recipe = parse([*container["command"][1:], *container["args"]])
    other = {name for name, value in SERVED.items() if recipe[name] != value}
    assert other <= {"model", "threads"}
    assert int(SERVICES["serve"]["stop_grace_period"].rstrip("s")) == KUBERNETES["terminationGracePeriodSeconds"]
    assert SERVICES["serve"]["mem_limit"] == container["resources"]["limits"]["memory"].replace("Mi", "m")


def test_credentials_come_from_the_environment_and_secret_files_that_git_and_docker_ignore():
    (secret,) = SERVICES["serve"]["secrets"]
    assert str(SERVED["token_file"]) == secret["target"]
    assert COMPOSE["secrets"][secret["source"]] == {"file": "./secrets/tokens.txt"}
    given = SERVICES["lifted"]["environment"]["PGPASSWORD"], SERVICES["database"]["environment"]["POSTGRES_PASSWORD"]
    assert set(given) == {"${POSTGRES_PASSWORD:?write it to the file .env}"}
    assert {"/.env", "/secrets/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_the_database_has_the_names_of_the_url():
    environment = SERVICES["database"]["environment"]
    assert NAMED["load"]["to"] == f"postgresql://{environment['POSTGRES_USER']}@database/{environment['POSTGRES_DB']}"
