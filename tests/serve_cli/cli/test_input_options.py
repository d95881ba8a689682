from __future__ import annotations

import numpy as np
import pytest
import typer

from export import N
from serve_cli.cli.input_options import network_inputs


@pytest.mark.parametrize(
    ("texts", "shapes", "batch"),
    [
        (["data:1,3,224,224"], {"data": (N, 3, 224, 224)}, 1),
        (["4,3,8,8"], {"data": (N, 3, 8, 8)}, 4),
        (["x:N,7"], {"x": (N, 7)}, 1),
        (["x:5,N,3", "lengths:6"], {"x": (5, N, 3), "lengths": (N,)}, 6),
        (["x:5,N=4,3", "state:2,N,8"], {"x": (5, N, 3), "state": (2, N, 8)}, 4),
        (["a:3,2", "b:3"], {"a": (N, 2), "b": (N,)}, 3),
    ],
)
def test_shapes(texts: list[str], shapes: dict[str, object], batch: int) -> None:
    inputs = network_inputs(texts, None)
    assert (dict(inputs.shapes), inputs.batch) == (shapes, batch)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["data:0,3"], "'data:0,3' is not a shape"),
        (["data:N=0,3"], "is not a shape"),
        (["data:N,N"], "is not a shape"),
        (["data:3,"], "is not a shape"),
        (["data:1,2,3,4,5,6,7"], "is not a shape"),
        (["a:2", "a:2"], "gives input 'a' twice"),
        (["a:2,5", "b:3"], "counts 2 and 3 images; write N, or N=4"),
    ],
)
def test_other_shapes_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        network_inputs(texts, None)


def test_types() -> None:
    inputs = network_inputs(["a:1,2", "b:1"], ["b:int64"])
    assert dict(inputs.dtypes) == {"b": np.dtype("int64")}
    for wrong in ("b:int63", "c:int64", "int64"):
        with pytest.raises(typer.BadParameter, match="expected NAME:TYPE of an input"):
            network_inputs(["a:1,2", "b:1"], [wrong])
