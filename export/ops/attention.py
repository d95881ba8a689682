"""Attention of transformers on (T, N, C), with the projections of all heads in one tensor (``transformer.cc``)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from export.graph.shape import Batch, product
from export.ops.registry import translates
from export.ops.reshape import reshaped, transposed

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

QUERIES, KEYS, VALUES = 0, 1, 2  # positions in a head of self-attention


@translates("_contrib_div_sqrt_dim")
def div_sqrt_dim(node: Node) -> Tensor:
    """Divide by the square root of the length of the last axis."""
    node.expect_inputs(1)
    data = node.real_tensor()
    root = node.number("root", math.sqrt(node.length(len(data.shape) - 1)))
    return node.emit_like(data, "Div", (data, root))


@translates("_contrib_interleaved_matmul_selfatt_qk")
def self_attention_scores(node: Node) -> Tensor:
    """Multiply queries and keys of (T, N, heads * 3 * D) to (N * heads, T, T), divided by sqrt(D)."""
    node.expect_inputs(1)
    heads = node.attrs.integer("heads", minimum=1)
    query, key = (_heads(node, 0, heads, parts=3, part=part) for part in (QUERIES, KEYS))
    return _scores(node, query, key)


@translates("_contrib_interleaved_matmul_encdec_qk")
def encoder_decoder_scores(node: Node) -> Tensor:
    """Multiply queries (T, N, heads * D) and keys of (S, N, heads * 2 * D), over sqrt(D): (N * heads, T, S)."""
    node.expect_inputs(2)
    heads = node.attrs.integer("heads", minimum=1)
    return _scores(node, _heads(node, 0, heads), _heads(node, 1, heads, parts=2, part=0))


@translates("_contrib_interleaved_matmul_selfatt_valatt")
def self_attention_values(node: Node) -> Tensor:
    """Multiply attention (N * heads, T, T) and the values of (T, N, heads * 3 * D) to (T, N, heads * D)."""
    node.expect_inputs(2)
    heads = node.attrs.integer("heads", minimum=1)
    return _attended(node, _heads(node, 0, heads, parts=3, part=VALUES), heads)


@translates("_contrib_interleaved_matmul_encdec_valatt")
def encoder_decoder_values(node: Node) -> Tensor:
    """Multiply attention (N * heads, T, S) and the values of (S, N, heads * 2 * D) to (T, N, heads * D)."""
    node.expect_inputs(2)
    heads = node.attrs.integer("heads", minimum=1)
    return _attended(node, _heads(node, 0, heads, parts=2, part=1), heads)


def _heads(node: Node, index: int, heads: int, parts: int = 1, part: int = 0) -> Tensor:
    """Return one of the ``parts`` that input ``index`` holds for each head, as (T, N * heads, D)."""
    data = node.tensor(index)
    if len(data.shape) != 3:
        raise node.malformed(f"its input is {data.shape}; expected (T, N, C)")
    time, batch, channels = data.shape
    if isinstance(time, Batch) or isinstance(channels, Batch):
        raise node.malformed(f"its input is {data.shape}; expected (T, N, C)")
    depth, rest = divmod(channels, heads * parts)
    if rest:
        raise node.malformed(f"its {channels} channels cannot be divided into {parts} parts for each of {heads} heads")
    rows = product((batch, heads))
    step = f"input{index}_part{part}"
    shape = (time, rows, depth) if parts == 1 else (time, rows, parts, depth)
    split = reshaped(node, shape, f"{step}_heads", data)
    if parts == 1:
        return split
    chosen = node.constant(f"{step}_index", np.array(part))
    return node.emit_shaped("Gather", (split, chosen), (time, rows, depth), {"axis": 2}, step=step)


def _scores(node: Node, query: Tensor, key: Tensor) -> Tensor:
    if query.shape[1:] != key.shape[1:]:
        raise node.malformed(f"its queries {query.shape} and keys {key.shape} differ in more than the first axis")
    node.require_one_type(query, key)
    (time, rows, depth), others = query.shape, key.shape[0]
    root = node.number("root", math.sqrt(1 if isinstance(depth, Batch) else depth))
    scaled = node.emit_like(query, "Div", (query, root), step="scaled")
    left = transposed(node, (1, 0, 2), "queries", scaled)
    right = transposed(node, (1, 2, 0), "keys", key)
    return node.emit_shaped("MatMul", (left, right), (rows, time, others))


def _attended(node: Node, values: Tensor, heads: int) -> Tensor:
    others, rows, depth = values.shape
    attention = node.tensor(1)
    if len(attention.shape) != 3 or (attention.shape[0], attention.shape[2]) != (rows, others):
        raise node.malformed(f"its attention is {attention.shape}; expected {(rows, 'T', others)}")
    node.require_one_type(values, attention)
    time = attention.shape[1]
    right = transposed(node, (1, 0, 2), "values", values)
    means = node.emit_shaped("MatMul", (attention, right), (rows, time, depth), step="means")
    order = transposed(node, (1, 0, 2), "by_time", means)
    shape = (time, node.shape(0)[1], product((heads, depth)))
    return reshaped(node, shape, data=order)
