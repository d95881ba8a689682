"""`--help`: what is required first, then at most ten usual options, then panels; nothing broken at any width."""

import re
import sys

import pytest
import typer

from serve_cli.cli.help_page import GENERAL, MAX_NAME, REQUIRED, USUAL, is_argument, name_of, panels_of, summary
from serve_cli.cli.main import app, main

MOST_USUAL = 10
GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)


def panels(name):
    command = GROUP.commands[name]
    return panels_of(command, typer.Context(command, info_name=name))


@pytest.fixture
def page(monkeypatch, capsys):
    """The lines of a page of --help."""

    def lines(width, *words):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys, "argv", ["lifted", *words, "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


@pytest.mark.parametrize("name", COMMANDS)
def test_order_of_the_panels(name):
    titles = list(panels(name))
    assert titles == sorted(titles, key=lambda title: {REQUIRED: 0, USUAL: 1, GENERAL: 3}.get(title, 2))
    assert all(param.required is False for title in titles if title != REQUIRED for param in panels(name)[title])


@pytest.mark.parametrize("name", COMMANDS)
def test_usual_options_are_few_and_not_the_general_ones(name):
    options = [param for param in panels(name).get(USUAL, []) if not is_argument(param)]
    assert len(options) <= MOST_USUAL
    assert not {"--threads", "--json", "--help"} & {spelling for param in options for spelling in param.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_has_a_name_and_every_parameter_a_sentence(name):
    for param in (param for params in panels(name).values() for param in params):
        assert param.is_flag if not param.metavar and not is_argument(param) else param.metavar
        assert re.match(r"[A-Z].*\.$", param.help, re.DOTALL), param.name
        assert len(name_of(param)) <= MAX_NAME


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_is_too_long_and_no_word_is_broken(page, name, width):
    lines = page(width, name)
    assert max(map(len, lines)) <= width
    shown = {word for line in lines for word in line.split()}
    for param in (param for params in panels(name).values() for param in params):
        assert set(param.help.split()) <= shown, param.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_of_itself(name):
    help = GROUP.commands[name].help
    assert f"\n  lifted {name}" in help.split("[bold]Example", 1)[1]


def test_required_options_are_marked_and_part_of_the_usage(page):
    lines = page(80, "train")
    assert lines[0] == "Usage: lifted train [DATASET] --data PATH --out DIR [OPTIONS]"
    marked = [line for line in lines if line.startswith("*")]
    assert [line.split()[1] for line in marked] == ["--data", "--out"]
    assert lines.index("Required") < lines.index("Options") < lines.index("Data set") < lines.index("General")


def test_defaults_are_shown_as_they_are_typed(page):
    text = " ".join(" ".join(page(120, "train")).split())
    for default in ("[default: googlenet_bn]", "[default: 127.0.0.1:9091]", "--[no-]test"):
        assert default in text
    assert "[default: False]" not in text
    assert "[default: None]" not in text


def test_defaults_that_depend_on_other_options_are_shown_as_defaults(page):
    text = " ".join(" ".join(page(120, "train")).split())
    for default in (
        "[default: 0.002; 1e-4 with --weights]",
        "[default: 128; 120 with --loss triplet]",
        "[default: 8; 1 with --loss contrastive or contrastive-all]",
        "iterations. [default: 0]",
    ):
        assert default in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_short_defaults_and_commands_stay_on_one_line(page, name, width):
    lines = page(width, name)
    assert not any(line.endswith("[default:") for line in lines if len(line) < width - MAX_NAME)
    for line in lines[lines.index("General") :]:
        assert line.count("`") % 2 == 0


def test_the_page_of_all_commands_ends_without_blank_lines_and_leads_to_the_other_pages(page):
    lines = page(80)
    assert lines[0] == "Usage: lifted COMMAND [OPTIONS]"
    assert "`lifted embed --help`" in " ".join(lines)
    assert lines[-2]


def test_the_commands_fit_on_a_line_each(page):
    lines = page(80)
    for name in COMMANDS:
        assert any(line.split() == [name, *summary(GROUP.commands[name]).split()] for line in lines), name
    assert any(line.split()[:2] == ["-V,", "--version"] for line in lines)
    assert any("--install-completion" in line for line in lines)
