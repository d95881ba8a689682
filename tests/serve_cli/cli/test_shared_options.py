import pytest
import typer

from serve_cli.cli.shared_options import parse_ks, parse_shape, parse_size


def test_ks_are_sorted_and_each_once():
    assert parse_ks("8, 1,2,2") == (1, 2, 8)


@pytest.mark.parametrize("text", ["", "a", "1,,2", "1.5", "0", "-1,2", "9" * 12])
def test_ks_that_are_no_ranks(text):
    with pytest.raises(typer.BadParameter):
        parse_ks(text)


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4 * 10**9), ("512MiB", 512 << 20), ("1.5 kb", 1500), ("7", 7), ("2T", 2 * 10**12)]
)
def test_amounts_of_memory(text, size):
    assert parse_size(text) == size
    for wrong in ("", "GB", "4XB", "-1", "4 4"):
        with pytest.raises(typer.BadParameter, match="is not a size"):
            parse_size(wrong)


def test_shapes_of_rows_images_and_videos():
    assert parse_shape("x:1,7") == ("x", (1, 7))
    assert parse_shape("1,3,224,224") == ("data", (1, 3, 224, 224))
    assert parse_shape("clip:2,3,32,112,112") == ("clip", (2, 3, 32, 112, 112))


@pytest.mark.parametrize("text", ["", "data:1", "data:1,0", "data:1,-3", "data:1,2,3,4,5,6", "1x3"])
def test_shapes_of_no_input(text):
    with pytest.raises(typer.BadParameter):
        parse_shape(text)
