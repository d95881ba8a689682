import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.errors import ConfigError
from gluon_lifted.images import colors as module
from gluon_lifted.images.colors import COLORS, Colors, colors_of, preprocessing_of, spell_colors
from tests.examples import examples

NUMBERS = st.integers(-(10**8), 10**9).map(lambda number: number / 1e6)  # as statistics are written
POSITIVE = st.integers(1, 10**9).map(lambda number: number / 1e6)


def test_examples_of_the_documentation():
    assert doctest.testmod(module) == (0, 1)


@pytest.mark.parametrize("name", COLORS)
def test_names_are_read_and_written(name):
    assert colors_of(name) == COLORS[name]
    assert spell_colors(COLORS[name]) == name


@examples(100)
@given(st.sampled_from(["RGB", "BGR"]), st.tuples(*[NUMBERS] * 3), st.tuples(*[POSITIVE] * 3))
def test_other_colors_come_back_exactly(channels, mean, std):
    colors = Colors(channels, mean, std)
    assert colors_of(spell_colors(colors)) == colors


def test_a_run_takes_spelled_colors():
    used = preprocessing_of(TrainConfig(colors="BGR:1,2,3:4,5,6"))
    assert (used.channels, used.mean, used.std) == ("BGR", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


@pytest.mark.parametrize(
    "text",
    [
        "", "auto", "imagnet", "RGB", "RGB:1,2,3", "RGB:1,2,3:4,5", "RGB:1,2,3:4,5,x", "RGB:1,2,3:4,5,0",
        "GRB:1,2,3:4,5,6", "RGB:1,2,3:4,5,inf", "RGB:nan,2,3:4,5,6", "RGB:1,2,3:4,5,6:7", "RGB:1,2,3:4,5,-6",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=r"are unknown\. Choose one of imagenet, caffe, inception"):
        colors_of(text)
    if text != "auto":
        with pytest.raises(ConfigError, match="are unknown"):
            TrainConfig(colors=text)


def test_a_close_name_is_offered():
    with pytest.raises(ConfigError, match="perhaps imagenet"):
        colors_of("imagnet")
