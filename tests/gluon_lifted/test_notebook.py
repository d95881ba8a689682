"""Progress in a notebook, seen through what IPython is asked to display."""

from types import SimpleNamespace

import pytest

pytest.importorskip("IPython", reason="IPython is not installed")

import gluon_lifted
from gluon_lifted import progress as progress_module
from gluon_lifted.errors import ConfigError
from gluon_lifted.notebook import NotebookProgress
from gluon_lifted.progress import open_progress, progress_to


class Screen:
    """The lines of a notebook's output; an update changes its line."""

    def __init__(self):
        self.lines, self.seconds = [], 0.0

    def display(self, shown, display_id):
        assert display_id
        number = len(self.lines)
        self.lines.append([repr(shown)])

        return SimpleNamespace(update=lambda shown: self.lines[number].append(repr(shown)))


@pytest.fixture
def screen(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("IPython.display.display", screen.display)
    return screen


def test_long_work_is_one_line_that_changes_a_few_times_a_second(screen):
    with NotebookProgress("embed", 1000, now=lambda: screen.seconds) as progress:
        for done in range(1, 1001):
            screen.seconds += 0.01
            progress.update(done, "3 failed")
    (line,) = screen.lines
    assert line[0] == "embed: 100 of 1,000 images, 100.0 images/s, 9 s left, 3 failed"
    assert line[-1] == "embed: 1,000 of 1,000 images, 100.0 images/s, took 10 s, 3 failed"
    assert 40 <= len(line) <= 50


def test_short_work_shows_nothing(screen):
    with NotebookProgress("rank", 10, "queries", now=lambda: screen.seconds) as progress:
        screen.seconds = 0.5
        progress.update(10)
    assert screen.lines == []


def test_resumed_work_counts_its_own_rate_and_unknown_totals_have_no_end(screen):
    with NotebookProgress("train", 300, "batches", 200, now=lambda: screen.seconds) as progress:
        screen.seconds = 10.0
        progress.update(250)
    with NotebookProgress("list", None, now=lambda: screen.seconds) as progress:
        screen.seconds = 12.0
        progress.update(40)
    assert [line[-1] for line in screen.lines] == [
        "train: 250 of 300 batches, 5.0 batches/s, 10 s left",
        "list: 40 images, 20 images/s",
    ]


def test_html_has_a_bar_and_no_markup_of_others():
    with NotebookProgress("<b>", 8) as progress:
        progress.update(2)
    shown = progress._repr_html_()
    assert 'max="8" value="2"' in shown
    assert "&lt;b&gt;" in shown


def test_a_notebook_shows_all_work_from_now_on(monkeypatch):
    monkeypatch.setattr("gluon_lifted.notebook._in_notebook", lambda: True)
    monkeypatch.setattr(progress_module._default, "open", progress_module._silent)
    gluon_lifted.show_progress()
    with open_progress("embed", 2) as shown:
        assert isinstance(shown, NotebookProgress)
    with progress_to(progress_module._silent), open_progress("embed", 2) as shown:
        assert not isinstance(shown, NotebookProgress)


def test_it_is_refused_elsewhere():
    with pytest.raises(ConfigError, match="show_progress works in Jupyter notebooks only"):
        gluon_lifted.show_progress()
