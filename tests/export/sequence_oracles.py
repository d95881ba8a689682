"""MXNet's operators on sequences in plain loops, in float64: dumber than any translation."""

from __future__ import annotations

import math

import numpy as np


def clipped(index, length):
    return min(max(int(index), 0), length - 1)


def embedding(indices, weight):
    out = np.zeros((*indices.shape, weight.shape[1]))
    for position in np.ndindex(indices.shape):
        out[position] = weight[clipped(indices[position], len(weight))]
    return out


def take(data, indices, axis=0, mode="clip"):
    length = data.shape[axis]
    rows = np.moveaxis(data, axis, 0)
    out = np.zeros((*indices.shape, *rows.shape[1:]), data.dtype)
    for position in np.ndindex(indices.shape):
        index = int(indices[position])
        out[position] = rows[index % length if mode == "wrap" else clipped(index, length)]
    order = list(range(indices.ndim, indices.ndim + axis)) + list(range(indices.ndim))
    return out.transpose(*order, *range(indices.ndim + axis, out.ndim))


def pick(data, indices, axis=-1, mode="clip", keepdims=False):
    axis %= data.ndim
    length = data.shape[axis]
    flat = indices.reshape(*data.shape[:axis], *data.shape[axis + 1 :])
    out = np.zeros(flat.shape, data.dtype)
    for position in np.ndindex(flat.shape):
        index = int(flat[position])
        index = index % length if mode == "wrap" else clipped(index, length)
        out[position] = data[(*position[:axis], index, *position[axis:])]
    return np.expand_dims(out, axis) if keepdims else out


def one_hot(indices, depth, on=1.0, off=0.0, dtype="float32"):
    out = np.full((*indices.shape, depth), np.array(off).astype(dtype))
    for position in np.ndindex(indices.shape):
        if 0 <= int(indices[position]) < depth:
            out[(*position, int(indices[position]))] = np.array(on).astype(dtype)
    return out


def argument(data, axis, largest=True, keepdims=False):
    """The first index of the extreme value."""
    moved = np.moveaxis(data, axis, -1)
    out = np.zeros(moved.shape[:-1], data.dtype)
    for position in np.ndindex(out.shape):
        values = list(moved[position])
        out[position] = values.index(max(values) if largest else min(values))
    return np.expand_dims(out, axis) if keepdims else out


def ordered(data, axis=-1, ascending=True, indices=False, dtype="float32"):
    moved = np.moveaxis(data, axis, -1)
    out = np.zeros(moved.shape, dtype if indices else data.dtype)
    for position in np.ndindex(moved.shape[:-1]):
        values = moved[position]
        order = sorted(range(len(values)), key=lambda index, row=values: row[index], reverse=not ascending)
        out[position] = order if indices else [values[index] for index in order]
    return np.moveaxis(out, -1, axis)


def sequence_mask(data, lengths, value=0.0, axis=0):
    out = data.copy()
    for sequence in range(len(lengths)):
        for time in range(data.shape[axis]):
            if time >= int(lengths[sequence]):
                out[(time, sequence) if axis == 0 else (sequence, time)] = value
    return out


def sequence_last(data, lengths, axis=0):
    rows = [
        data[(int(length) - 1, sequence) if axis == 0 else (sequence, int(length) - 1)]
        for sequence, length in enumerate(lengths)
    ]
    return np.stack(rows)


def sequence_reverse(data, lengths):
    out = data.copy()
    for sequence, length in enumerate(lengths):
        for time in range(int(length)):
            out[time, sequence] = data[int(length) - 1 - time, sequence]
    return out


def softmax_of_length(data, lengths, axis=-1, temperature=1.0):
    moved = np.moveaxis(data.astype(np.float64), axis, -1)
    out = np.zeros(moved.shape)
    for position in np.ndindex(moved.shape[:-1]):
        count = int(lengths[position])
        powers = [math.exp(value / temperature) for value in moved[position][:count]]
        out[position][:count] = [power / sum(powers) for power in powers]
    return np.moveaxis(out, -1, axis)


def attention_scores(queries, keys, heads, query_parts, key_parts, key_part):
    """Queries (T, N, heads * parts * D), the first part of each head; keys (S, N, heads * parts * D)."""
    time, batch, channels = queries.shape
    depth = channels // heads // query_parts
    out = np.zeros((batch * heads, time, len(keys)))
    for row, i, j in np.ndindex(out.shape):
        sequence, head = divmod(row, heads)
        query = queries[i, sequence, head * query_parts * depth :][:depth].astype(np.float64)
        key = keys[j, sequence, (head * key_parts + key_part) * depth :][:depth].astype(np.float64)
        out[row, i, j] = (query * key).sum() / math.sqrt(depth)
    return out


def attention_values(projections, attention, heads, parts):
    """The values, the last part of each head, weighted by attention (N * heads, T, S)."""
    others, batch, channels = projections.shape
    depth = channels // heads // parts
    out = np.zeros((attention.shape[1], batch, heads * depth))
    for time, sequence, head in np.ndindex(attention.shape[1], batch, heads):
        for other in range(others):
            value = projections[other, sequence, (head * parts + parts - 1) * depth :][:depth]
            share = attention[sequence * heads + head, time, other]
            out[time, sequence, head * depth : (head + 1) * depth] += share * value.astype(np.float64)
    return out


def dot(left, right, first=False, last=False):
    return np.tensordot(left.astype(np.float64), right, axes=(0 if first else -1, -1 if last else 0))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(mode, gates_x, gates_h, state, memory):
    """One step of one sequence: the inputs of all gates from the data and from the state, (gates, units)."""
    if mode == "lstm":
        i, f, g, o = gates_x + gates_h
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(memory), memory
    if mode == "gru":
        reset, update = sigmoid(gates_x[:2] + gates_h[:2])
        new = np.tanh(gates_x[2] + reset * gates_h[2])
        return (1 - update) * new + update * state, memory
    total = gates_x[0] + gates_h[0]
    return (np.tanh(total) if mode == "rnn_tanh" else np.maximum(total, 0)), memory


def rnn(data, parameters, *states, mode, units, layers=1, directions=1, lengths=None):
    """Return the output, and the last state (and memory) of every layer and direction."""
    gates = {"lstm": 4, "gru": 3}.get(mode, 1)
    rest = list(parameters.astype(np.float64))

    def take_next(*shape):
        count = math.prod(shape)
        part = np.array(rest[:count]).reshape(shape)
        del rest[:count]
        return part

    widths = [data.shape[2]] + [units * directions] * (layers - 1)
    matrices = [
        (take_next(gates, units, widths[layer]), take_next(gates, units, units))
        for layer in range(layers)
        for _ in range(directions)
    ]
    biases = [(take_next(gates, units), take_next(gates, units)) for _ in range(layers * directions)]
    hidden = states[0].astype(np.float64).copy()
    memory = (states[1] if mode == "lstm" else np.zeros_like(states[0])).astype(np.float64).copy()
    data = data.astype(np.float64)
    for layer in range(layers):
        out = np.zeros((*data.shape[:2], directions * units))
        for direction in range(directions):
            row = layer * directions + direction
            (from_data, from_state), (bias_x, bias_h) = matrices[row], biases[row]
            for sequence in range(data.shape[1]):
                count = len(data) if lengths is None else int(lengths[sequence])
                for time in range(count) if direction == 0 else reversed(range(count)):
                    state = hidden[row, sequence]
                    gates_x, gates_h = from_data @ data[time, sequence] + bias_x, from_state @ state + bias_h
                    state, memory[row, sequence] = cell(mode, gates_x, gates_h, state, memory[row, sequence])
                    hidden[row, sequence] = state
                    out[time, sequence, direction * units : (direction + 1) * units] = state
        data = out
    return (data, hidden, memory) if mode == "lstm" else (data, hidden)
