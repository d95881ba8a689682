"""depth_to_space, space_to_depth: turn channels into pixels and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("depth_to_space")
def depth_to_space(node: Node) -> Tensor:
    """Turn (N, b b C, H, W) into (N, C, b H, b W). Channels are ordered by position in the block first."""
    node.expect_inputs(1)
    block = node.attrs.integer("block_size", minimum=1)
    data, channels, height, width = node.image()
    if channels % block**2:
        raise node.malformed(f"its {channels} channels cannot be divided into blocks of {block} x {block} px")
    row = (channels // block**2, height * block, width * block)
    return node.emit("DepthToSpace", (data,), row, {"blocksize": block})


@translates("space_to_depth")
def space_to_depth(node: Node) -> Tensor:
    """Turn (N, C, b H, b W) into (N, b b C, H, W)."""
    node.expect_inputs(1)
    block = node.attrs.integer("block_size", minimum=1)
    data, channels, height, width = node.image()
    if height % block or width % block:
        raise node.malformed(
            f"its input of {height} x {width} px cannot be divided into blocks of {block} x {block} px"
        )
    row = (channels * block**2, height // block, width // block)
    return node.emit("SpaceToDepth", (data,), row, {"blocksize": block})
