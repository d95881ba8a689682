from __future__ import annotations

import numpy as np
import pytest

from export import Reference, compare_with_recorded
from export.errors import MalformedModelError, ParityError

DATA = np.zeros((2, 3, 4, 4), np.float32)
ROWS = np.array([[1, 2], [3, 4]], np.float32)


def recorded(**nodes: np.ndarray) -> Reference:
    return Reference(DATA, {"out": ROWS}, nodes)


@pytest.mark.parametrize(("difference", "differs"), [(3.9e-4, False), (4.1e-4, True), (np.nan, True)])
def test_tolerance_grows_with_the_largest_output(difference: float, differs: bool) -> None:
    actual = {"fc1_output": ROWS + np.float32([[0, 0], [0, difference]])}
    if not differs:
        compare_with_recorded(actual, {}, recorded(), 1e-4)
        return
    with pytest.raises(ParityError, match=r"output 'fc1_output', computed from the files, .*row 1"):
        compare_with_recorded(actual, {}, recorded(), 1e-4)


def test_first_node_in_the_networks_order_is_named() -> None:
    nodes = {f"node/{name}": ROWS[:1] for name in ("a", "b", "c", "d")} | {"node/c": np.ones((1, 2), np.float32)}
    expected = {"d": ROWS[:1] + 1, "c": np.ones((1, 1), np.float32), "b": ROWS[:1], "x": ROWS[:1] + 1}
    with pytest.raises(ParityError, match="The first node that differs is 'c'"):
        compare_with_recorded({"out": ROWS + 1}, nodes, recorded(**expected), 1e-4)
    with pytest.raises(ParityError, match=r"row 0\)\. So the files do not contain"):
        compare_with_recorded({"out": ROWS + 1}, nodes, recorded(b=ROWS[:1]), 1e-4)
    with pytest.raises(ParityError, match=r"row 0\)\. The program recorded no outputs"):
        compare_with_recorded({"out": ROWS + 1}, nodes, recorded(), 1e-4)


def test_node_that_differs_without_effect_on_the_output_is_noticed() -> None:
    nodes = {"node/a": ROWS[:1], "node/b": ROWS[:1]}
    compare_with_recorded({"out": ROWS}, nodes, recorded(a=ROWS[:1]), 1e-4)
    with pytest.raises(ParityError, match=r"node 'b', computed from the files, differs .* although the outputs agree"):
        compare_with_recorded({"out": ROWS}, nodes, recorded(a=ROWS[:1], b=ROWS[:1] + 1), 1e-4)


@pytest.mark.parametrize(
    "outputs", [{"out": ROWS[:, :1]}, {"out": ROWS, "more": ROWS}, {"one": ROWS, "two": ROWS}, {"out": ROWS[:1]}]
)
def test_other_outputs_are_refused(outputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(MalformedModelError, match=r"the program recorded out \(2, 2\)"):
        compare_with_recorded(outputs, {}, recorded(), 1e-4)


def test_output_that_only_the_program_has_is_named() -> None:
    reference = Reference(DATA, {"out": ROWS, "more": ROWS}, {})
    with pytest.raises(
        MalformedModelError, match=r"computes out \(2, 2\), but the program recorded out .*, more \(2, 2\)"
    ):
        compare_with_recorded({"out": ROWS}, {}, reference, 1e-4)
