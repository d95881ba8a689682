import pytest
import typer

from serve_cli.options import parse_ks


def test_ks_are_sorted_and_each_once():
    assert parse_ks("8, 1,2,2") == (1, 2, 8)


@pytest.mark.parametrize("text", ["", "a", "1,,2", "1.5", "0", "-1,2"])
def test_ks_that_are_no_ranks(text):
    with pytest.raises(typer.BadParameter):
        parse_ks(text)
