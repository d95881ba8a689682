"""The sliding window of Convolution, Deconvolution and Pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.graph.node import Node

LAYOUTS = ("NCHW",)


@dataclass(frozen=True)
class Window:
    """Vertical and horizontal sizes in pixels; ``pad`` is added on both sides."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]

    def spare(self, size: int, axis: int, dilate: int = 1) -> int:
        """Return by how many pixels the padded image is longer than the kernel."""
        return size + 2 * self.pad[axis] - (dilate * (self.kernel[axis] - 1) + 1)


def read_window(node: Node) -> Window:
    """Parse the attributes kernel, stride and pad. Stride defaults to 1, padding to 0."""
    return Window(
        kernel=node.attrs.integers("kernel", 2, minimum=1),
        stride=node.attrs.integers("stride", 2, (1, 1), minimum=1),
        pad=node.attrs.integers("pad", 2, (0, 0)),
    )
