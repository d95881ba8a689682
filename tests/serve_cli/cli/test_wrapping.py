from hypothesis import given
from hypothesis import strategies as st

from serve_cli.cli.wrapping import wrap_message


def test_lines_break_at_spaces_and_are_indented():
    message = "train: recall is measured on 100 images of 5 test classes."
    assert wrap_message(message, 30) == "train: recall is measured on\n  100 images of 5 test\n  classes."


def test_what_fits_stays_as_it_is():
    message = "lifted: stopped.\ndropout = 0.0   # a comment\n"
    assert wrap_message(message, 30) == message


def test_commands_stay_whole():
    message = "Look at it with `lifted inspect runs/mine`, then export it."
    assert wrap_message(message, 20) == "Look at it with\n  `lifted inspect runs/mine`,\n  then export it."
    indented = "Try:\n  lifted train folder --data photos --out runs/mine"
    assert wrap_message(indented, 20) == indented


@given(st.text("ab `\n", max_size=80), st.integers(5, 40))
def test_no_word_is_lost_and_no_line_is_longer_than_it_must_be(message, width):
    wrapped = wrap_message(message, width)
    assert wrapped.split() == message.split()
    for line in wrapped.split("\n"):
        assert len(line) <= width or "`" in line or " " not in line.strip() or line in message.split("\n")
