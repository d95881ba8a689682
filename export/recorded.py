"""Compare the outputs of a network's two files with those recorded by the program that saved them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import MalformedModelError, ParityError
from export.parity import problem
from export.reader.reference import NODE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from export.reader.reference import Array, Reference

LIVE = "what the program recorded"
ADVICE = (
    "So the files do not contain the network that the program ran. MXNet 1.9.1 can scramble a weight if it saves "
    "while operators still run. Call mx.nd.waitall(), save again, and compare again."
)


def compare_with_recorded(
    outputs: Mapping[str, Array], nodes: Mapping[str, Array], recorded: Reference, tolerance: float
) -> None:
    """Raise an error unless outputs computed from files equal the recorded ones.

    Parameters
    ----------
    outputs : mapping
        Name of an output -> its values for the recorded images, (n, ...).
    nodes : mapping
        Name of a node, ``node/<name>`` -> its values for the first image, (1, ...), in the network's order.
    recorded : Reference
        Images and outputs of the live network. A single output may have any name.
    tolerance : float
        As for `export.verify.verify`.

    Raises
    ------
    ParityError
        If an output or a recorded node differs. Nodes are compared because a few images may not reveal a wrong weight
        in the outputs. The message names the first node that differs.
    MalformedModelError
        If outputs have other names or shapes than the recorded ones.
    """
    expected = recorded.outputs
    if len(outputs) == len(expected) == 1:
        expected = dict(zip(outputs, expected.values(), strict=True))
    for name in outputs:
        shape = expected[name].shape if name in expected else None
        if set(outputs) != set(expected) or shape != outputs[name].shape:
            raise MalformedModelError(
                f"the network computes {_shapes(outputs)}, but the program recorded {_shapes(recorded.outputs)}. "
                "Record the same outputs, or choose one with --output."
            )
        if wrong := problem(outputs[name], expected[name], tolerance, LIVE):
            known = "" if recorded.nodes else " The program recorded no outputs of inner nodes, so the node is unknown."
            node = _first_node(nodes, recorded, tolerance)
            first = f" The first node that differs is {node!r}." if node else known
            raise ParityError(f"output {name!r}, computed from the files, {wrong}.{first} {ADVICE}")
    if node := _first_node(nodes, recorded, tolerance):
        raise ParityError(
            f"node {node!r}, computed from the files, differs from {LIVE}, although the outputs agree. {ADVICE}"
        )


def _first_node(nodes: Mapping[str, Array], recorded: Reference, tolerance: float) -> str | None:
    """Return the name of the first recorded node that differs for the first image."""
    for key, array in nodes.items():
        expected = recorded.nodes.get(key.removeprefix(NODE_PREFIX))
        if expected is None:
            continue
        if array.shape != expected.shape or problem(array, expected, tolerance, LIVE):
            return key.removeprefix(NODE_PREFIX)
    return None


def _shapes(arrays: Mapping[str, Array]) -> str:
    return f"{', '.join(f'{name} {array.shape}' for name, array in arrays.items()):.200}"
