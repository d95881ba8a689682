import fcntl
import io
import json
import os
import re
import struct
import sys
import termios

import pytest

from serve_cli.cli.console import (
    LINE_EVERY_S,
    Progress,
    print_facts,
    print_json,
    print_table,
    say,
)


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def test_plain_lines_come_at_intervals_with_rate_and_time_left(capsys):
    now = Clock()
    with Progress("embed", total=1000, now=now) as progress:
        for done in range(1, 11):
            now.seconds += LINE_EVERY_S / 2
            progress.update(done * 100, "3 failed" if done == 4 else "")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "embed: 200 of 1,000 images, 20.0 images/s, 40 s left",
        "embed: 400 of 1,000 images, 20.0 images/s, 30 s left  3 failed",
        "embed: 600 of 1,000 images, 20.0 images/s, 20 s left",
        "embed: 800 of 1,000 images, 20.0 images/s, 10 s left",
        "embed: 1,000 of 1,000 images, 20.0 images/s, took 50 s",
    ]


def test_resumed_work_does_not_count_for_the_rate():
    now = Clock()
    progress = Progress("train", total=1000, unit="batches", start=500, now=now)
    now.seconds += 10
    assert progress.status(500) == "starting"
    assert progress.status(600) == "10.0 batches/s, 40 s left"


def test_clock_starts_when_the_work_does():
    now = Clock()
    progress = Progress("embed", total=100, now=now)
    now.seconds += 1000
    with progress:
        now.seconds += 10
        assert progress.status(50) == "5.0 images/s, 10 s left"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    now = Clock()
    with Progress("embed", total=40, now=now) as progress:
        now.seconds += 2
        progress.update(20, "[bold] failed")
    shown = sys.stderr.getvalue()
    assert "20/40" in shown
    assert "2 s left, 10.0 images/s, [bold] failed" in shown


@pytest.mark.parametrize(("seconds", "stays"), [(0.5, False), (1.5, True)])
def test_short_work_leaves_nothing_on_a_terminal(monkeypatch, seconds, stays):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    now = Clock()
    with Progress("measure", total=40, now=now) as progress:
        now.seconds += seconds
        progress.update(40)
    erased = "\x1b[1A\x1b[2K"  # one line up, and clear it
    assert sys.stderr.getvalue().endswith(erased) != stays


def shown_lines():
    """The lines that a terminal of this width has shown."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sys.stderr.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.mark.parametrize(
    ("width", "status"),
    [
        (40, "10:20 left"),
        (60, "10:20 left, 12.3 batches/s"),
        (66, "10:20 left, 12.3 batches/s, loss 3.210"),
        (80, "10:20 left, 12.3 batches/s, loss 3.210, recall@1 0.345"),
        (100, "10:20 left, 12.3 batches/s, loss 3.210, recall@1 0.345, 92.1 images/s"),
        (
            140,
            "10:20 left, 12.3 batches/s, loss 3.210, recall@1 0.345, 92.1 images/s, recall of batch 9,000 on 9 classes",
        ),
    ],
)
def test_numbers_stay_and_whole_parts_of_the_text_give_way(monkeypatch, width, status):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    now = Clock()
    with Progress("train", total=20_000, unit="batches", now=now) as progress:
        now.seconds += 1000
        progress.update(12_345, "loss 3.210, recall@1 0.345, 92.1 images/s, recall of batch 9,000 on 9 classes")
    last = shown_lines()[-1]
    assert len(last) <= width
    assert re.fullmatch(rf"train 12,345/20,000 [━╸╺]+ {re.escape(status)}", last)


def test_count_without_a_total_ends_with_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    now = Clock()
    with Progress("list", total=None, unit="files", now=now) as progress:
        progress.update(5000)
        now.seconds += 4
        progress.update(7123)
    lines = shown_lines()
    assert not any("?" in line for line in lines)
    assert lines[-1].startswith("list 7,123 files")
    assert lines[-1].endswith("took 4 s")


def test_results_go_to_stdout_and_words_to_stderr(capsys):
    say("hello")
    print_json({"path": "a\udcff", "n": 1})
    out, err = capsys.readouterr()
    assert err == "hello\n"
    assert json.loads(out) == {"path": "a\udcff", "n": 1}
    assert out.isascii()


@pytest.mark.parametrize(("columns", "lines"), [(30, ["train: the messages break", "  between words"]), (0, None)])
def test_a_terminal_shows_whole_words(monkeypatch, columns, lines):
    message = "train: the messages break between words"
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(its, "w") as terminal, open(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        say(message)
        shown = screen.read(1000).decode()
    assert shown.splitlines() == (lines or [message])


def test_facts_and_tables_show_text_as_it_is(capsys):
    print_facts({"model": "[red]x[/red]", "images": 3})
    print_table(["name", "R@1"], [["[bold]a", "25.00"], ["b", "5.00"]])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "model   [red]x[/red]"
    assert lines[1] == "images  3"
    assert [line for line in lines if line.endswith("5.00")] == ["[bold]a   25.00", "b          5.00"]


def test_a_table_that_is_too_wide_goes_on_below_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    columns = ["metric", *(f"[red]model {number}, 64" for number in range(7))]
    rows = [[name, *(f"{name} {number}.00  [10.0, 30.0]" for number in range(7))] for name in ("R@1", "MAP@R")]
    print_table(columns, rows)
    out = capsys.readouterr().out
    assert all(len(line.rstrip()) <= 60 for line in out.splitlines())
    assert all(cell in out for line in (columns, *rows) for cell in line)
    tables = out.count("metric")
    assert tables == out.count("\n R@1") + out.count("\nR@1") > 1


def test_a_word_of_a_heading_is_never_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("name", "interpolation"), [("a", "cubic")])
    assert "interpolation" in capsys.readouterr().out


def test_long_headings_are_broken_instead_of_widening_the_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    names = [f"a-catalog-of-{kind}-photographs.onnx (512)" for kind in ("small", "medium", "large")]
    cells = ["61.19  [58.5, 63.9]"] * 3
    print_table(["metric, %", *names], [["R@1", *cells], ["R-precision", *cells]])
    out = capsys.readouterr().out
    assert out.count("metric, %") == 1
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 100


def test_a_table_of_text_alone(capsys):
    print_table(["name", "what"], [["a", "b"]], left=2)
    assert "what" in capsys.readouterr().out
