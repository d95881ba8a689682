"""The sliding window of Convolution, Deconvolution and Pooling, along one to three axes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import Shape

LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}  # by the number of axes that the window moves along


@dataclass(frozen=True)
class Window:
    """Sizes along each axis of a position, in pixels or frames. ``pad`` is added on both sides."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilate: Shape

    def covered(self, axis: int) -> int:
        """Return the length of the dilated kernel."""
        return self.dilate[axis] * (self.kernel[axis] - 1) + 1

    def spare(self, size: int, axis: int) -> int:
        """Return by how much the padded image is longer than the kernel."""
        return size + 2 * self.pad[axis] - self.covered(axis)


def read_window(node: Node) -> Window:
    """Parse the attributes kernel, stride, pad and layout. Stride defaults to 1, padding to 0."""
    kernel = node.attrs.integers("kernel", minimum=1)
    axes = len(kernel)
    if axes not in LAYOUTS:
        raise node.attrs.unsupported("kernel", kernel, "1 to 3 numbers")
    node.attrs.choice("layout", (LAYOUTS[axes],), LAYOUTS[axes])
    return Window(
        kernel=kernel,
        stride=node.attrs.integers("stride", axes, (1,) * axes, minimum=1),
        pad=node.attrs.integers("pad", axes, (0,) * axes),
        dilate=(1,) * axes,
    )


def read_dilated_window(node: Node) -> Window:
    """Parse the attribute dilate, 1 by default, in addition to those of `read_window`."""
    window = read_window(node)
    axes = len(window.kernel)
    return replace(window, dilate=node.attrs.integers("dilate", axes, (1,) * axes, minimum=1))


def positions(node: Node, axes: int) -> tuple[Tensor, int, Shape]:
    """Return input 0, which must be (N, C, ...) with ``axes`` axes after the channels, C, and the lengths of these."""
    data = node.tensor()
    if len(data.row) != axes + 1:
        raise node.malformed(
            f"its input is (N, {', '.join(map(str, data.row))}); expected ({', '.join(LAYOUTS[axes])})"
        )
    return data, data.row[0], data.row[1:]


def pixels(size: Shape) -> str:
    """Format lengths for messages: ``6 x 7 px``."""
    return f"{' x '.join(map(str, size))} px"
