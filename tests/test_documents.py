"""What the documents name is there: paths, links, names, commands, options; and their Python is Python."""

import re
import shlex

import pytest
import typer

from serve_cli.cli.main import USAGE_ERROR, app
from tests.documents import DOCUMENTS, ROOT, anchors, blocks, lifted_commands, prose

ROOMS = re.compile(r"`((?:gluon_lifted|export|serve_cli|tests|docs|benchmarks)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"`((?:lifted |--)[^`]+)`")
OPTION = re.compile(r"(?<!\S)--[a-z][\w-]*")
OTHER_OPTIONS = {"--help", "--version", "--metric_type"}  # of every command, of `lifted`, of autofaiss
PACKAGES = {"gluon_lifted", "export", "serve_cli"}
OTHER_NAMES = {"PYSPARK_PYTHON", "RAY_USAGE_STATS_ENABLED"}  # variables of Spark and Ray

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
GROUP = typer.main.get_command(app)


@every_document
def test_paths_exist(document):
    named = [ROOT / path for path in ROOMS.findall(document.read_text())]
    assert [path for path in named if not path.exists()] == []


@every_document
def test_links_lead_somewhere(document):
    for link in LINK.findall(prose(document)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_document
def test_names_exist(document):
    """Classes and tables in backticks are words of the code."""
    code = "\n".join(
        path.read_text() for room in ("gluon_lifted", "export", "serve_cli") for path in ROOT.glob(f"{room}/**/*.py")
    )
    words = set(re.findall(r"\w+", code))
    names = re.findall(r"`([A-Z]\w+)`", document.read_text())
    assert [name for name in names if name not in words | OTHER_NAMES] == []


@every_document
def test_commands_parse(document):
    for words in lifted_commands(document, "", "bash"):
        name, *arguments = words[1:]
        if name.isupper() or name.startswith("-"):
            continue
        try:
            GROUP.commands[name].make_context(name, arguments)
        except typer.Exit:  # --help
            continue
        except USAGE_ERROR as error:
            pytest.fail(f"{shlex.join(words)}: {error}")


@every_document
def test_options_exist(document):
    known = {option for command in GROUP.commands.values() for one in command.params for option in one.opts}
    known |= {option for command in GROUP.commands.values() for one in command.params for option in one.secondary_opts}
    named = {option for code in CODE.findall(prose(document)) for option in OPTION.findall(code)}
    assert named - known - OTHER_OPTIONS == set()


@every_document
def test_python_compiles(document):
    for code in blocks(document, "python"):
        compile(code, str(document), "exec")


@pytest.mark.slow
def test_types_of_python(tmp_path):
    """A type checker accepts the examples that use our packages alone."""
    mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")
    codes = [code for document in DOCUMENTS for code in blocks(document, "python")]
    modules = [set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)) for code in codes]
    examples = [code for code, used in zip(codes, modules, strict=True) if used and used <= PACKAGES]
    assert len(examples) > 5
    for number, code in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(code)
    errors, _, status = mypy.run(["--config-file=", "--strict", f"--cache-dir={tmp_path / 'cache'}", str(tmp_path)])
    assert status == 0, errors


def test_the_readme_is_short_and_its_pictures_are_small():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert [picture.name for picture in pictures if picture.stat().st_size > 200_000] == []


def test_the_home_page_lists_every_page():
    home = ROOT / "docs" / "index.md"
    linked = {(home.parent / link).resolve() for link in LINK.findall(home.read_text())}
    pages = {*home.parent.glob("*.md"), *home.parent.glob("reference/*.md")} - {home}
    assert pages - linked == set()
