from __future__ import annotations

import numpy as np
import pytest
import typer

from export import N
from serve_cli.cli.input_options import network_inputs


def test_the_first_size_or_n_is_the_batch() -> None:
    inputs = network_inputs(["data:4,3,224,224", "tokens:128,N"], ["tokens:int32"])
    assert inputs.shapes == {"data": (N, 3, 224, 224), "tokens": (128, N)}
    assert inputs.dtypes == {"tokens": np.dtype(np.int32)}
    assert inputs.fixed() == {"data": (4, 3, 224, 224), "tokens": (128, 4)}


def test_an_input_without_a_name_is_data() -> None:
    inputs = network_inputs(["N,3,8,8"], ["float16"])
    assert (inputs.shapes, inputs.batch) == ({"data": (N, 3, 8, 8)}, 1)
    assert inputs.dtypes == {"data": np.dtype(np.float16)}


@pytest.mark.parametrize(
    ("shapes", "dtypes", "message"),
    [
        (["data:1,0,3"], None, "--shape is 'data:1,0,3'; expected NAME:SIZES, such as data:1,3,224,224"),
        (["data:N,3,N"], None, "--shape is 'data:N,3,N'; expected"),
        (["data:1,-3"], None, "expected NAME:SIZES"),
        (["data:1,2,3,4,5,6,7"], None, "expected NAME:SIZES"),
        ([""], None, "expected NAME:SIZES"),
        (["a:1,3", "a:1,4"], None, "--shape gives input 'a' twice"),
        (["a:1,3"], ["b:int32"], "--dtype is 'b:int32'; expected NAME:TYPE, an input of --shape"),
        (["a:1,3"], ["a:complex64"], "--dtype is 'a:complex64'"),
    ],
)
def test_other_text_is_refused(shapes: list[str], dtypes: list[str] | None, message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        network_inputs(shapes, dtypes)


@pytest.mark.parametrize(
    ("texts", "shapes", "batch"),
    [
        (["x:N,7"], {"x": (N, 7)}, 1),
        (["x:5,N,3", "lengths:6"], {"x": (5, N, 3), "lengths": (N,)}, 6),
        (["x:5,N=4,3", "state:2,N,8"], {"x": (5, N, 3), "state": (2, N, 8)}, 4),
        (["a:3,2", "b:3"], {"a": (N, 2), "b": (N,)}, 3),
    ],
)
def test_any_axis_may_count_images(texts: list[str], shapes: dict[str, object], batch: int) -> None:
    inputs = network_inputs(texts, None)
    assert (dict(inputs.shapes), inputs.batch) == (shapes, batch)


@pytest.mark.parametrize("text", ["data:N=0,3", "data:N=,3", "data:N,N=2", "data:3,"])
def test_other_batch_sizes_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected NAME:SIZES"):
        network_inputs([text], None)


def test_two_batch_sizes_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="batch sizes 2 and 3; expected one"):
        network_inputs(["a:2,5", "b:3"], None)
