"""Progress goes to whoever asked for it."""

from contextlib import contextmanager

import pytest

from gluon_lifted.progress import clock, open_progress, progress_to


def test_it_is_silent_unless_asked_for(capfd):
    with open_progress("embed", total=2) as progress:
        progress.update(1, "0 failed")
    assert capfd.readouterr() == ("", "")


def test_it_goes_to_the_one_who_asked_until_the_block_ends():
    seen = []

    @contextmanager
    def show(label, total, unit="images", start=0):
        class Bar:
            def update(self, done, text=""):
                seen.append((label, total, unit, start, done, text))

        yield Bar()
        seen.append("closed")

    with progress_to(show), open_progress("rank", 5, "queries", start=2) as progress:
        progress.update(3, "x")
    with open_progress("list", None) as progress:
        progress.update(1)
    assert seen == [("rank", 5, "queries", 2, 3, "x"), "closed"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (187, "3:07"), (3599.7, "1:00:00"), (7387, "2:03:07")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
