"""MXNet's sliding windows in plain loops over any number of axes, in float64."""

from __future__ import annotations

import math

import numpy as np


def convolution(x, weight, bias=None, stride=None, pad=None, dilate=None, groups=1):
    axes = x.ndim - 2
    stride, pad, dilate = stride or (1,) * axes, pad or (0,) * axes, dilate or (1,) * axes
    filters, per_group, *kernel = weight.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *((p, p) for p in pad)))
    spare = [padded.shape[a + 2] - dilate[a] * (kernel[a] - 1) - 1 for a in range(axes)]
    out = np.zeros((len(x), filters, *(spare[a] // stride[a] + 1 for a in range(axes))))
    for f, *at in np.ndindex(out.shape[1:]):
        first = f // (filters // groups) * per_group  # input channel of this filter's group
        for c, *offset in np.ndindex(weight.shape[1:]):
            pixel = tuple(at[a] * stride[a] + offset[a] * dilate[a] for a in range(axes))
            out[(slice(None), f, *at)] += padded[(slice(None), first + c, *pixel)] * weight[(f, c, *offset)]
    return out if bias is None else out + bias.reshape(-1, *[1] * axes)


def deconvolution(x, weight, stride=None, pad=None, adjust=None, groups=1):
    """Every pixel lays the kernel, times its value, onto a larger image, of which a frame is then cut off."""
    axes = x.ndim - 2
    stride, pad, adjust = stride or (1,) * axes, pad or (0,) * axes, adjust or (0,) * axes
    _, per_group, *kernel = weight.shape
    sizes = [stride[a] * (x.shape[a + 2] - 1) + kernel[a] + adjust[a] for a in range(axes)]
    out = np.zeros((len(x), per_group * groups, *sizes))
    for c, *at in np.ndindex(x.shape[1:]):
        for f, *offset in np.ndindex(weight.shape[1:]):
            filter_ = c // (x.shape[1] // groups) * per_group + f
            pixel = tuple(at[a] * stride[a] + offset[a] for a in range(axes))
            out[(slice(None), filter_, *pixel)] += x[(slice(None), c, *at)].astype(np.float64) * weight[(c, f, *offset)]
    return out[(slice(None), slice(None), *(slice(pad[a], sizes[a] - pad[a]) for a in range(axes)))]


def pooling(x, kernel, reduce, stride=None, pad=None, full=False, fill=0.0):
    """Reduce every window of an image with a border of ``fill``, and more of it where the last windows reach beyond."""
    axes = x.ndim - 2
    stride, pad = stride or (1,) * axes, pad or (0,) * axes
    spare = [x.shape[a + 2] + 2 * pad[a] - kernel[a] for a in range(axes)]
    steps = [-(-spare[a] // stride[a]) if full else spare[a] // stride[a] for a in range(axes)]
    border = ((0, 0), (0, 0), *((p, p + k + s) for p, k, s in zip(pad, kernel, stride, strict=True)))
    padded = np.pad(x.astype(np.float64), border, constant_values=fill)
    out = np.zeros((*x.shape[:2], *(step + 1 for step in steps)))
    for at in np.ndindex(out.shape[2:]):
        spans = (slice(at[a] * stride[a], at[a] * stride[a] + kernel[a]) for a in range(axes))
        window = padded[(slice(None), slice(None), *spans)]
        out[(slice(None), slice(None), *at)] = reduce(window, axis=tuple(range(2, axes + 2)))
    return out


def sampling(x, grid):
    """Read images at positions x, y from -1 to 1, between four pixels; those outside of the image are 0."""
    height, width = x.shape[2:]
    out = np.zeros((*x.shape[:2], *grid.shape[2:]))
    for n, i, j in np.ndindex(len(x), *grid.shape[2:]):
        column, row = (grid[n, 0, i, j] + 1) * (width - 1) / 2, (grid[n, 1, i, j] + 1) * (height - 1) / 2
        for r in (math.floor(row), math.floor(row) + 1):
            for c in (math.floor(column), math.floor(column) + 1):
                if 0 <= r < height and 0 <= c < width:
                    out[n, :, i, j] += x[n, :, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return out


def affine_grid(matrix, size):
    out = np.zeros((len(matrix), 2, *size))
    for n, i, j in np.ndindex(len(matrix), *size):
        position = (2 * j / (size[1] - 1) - 1, 2 * i / (size[0] - 1) - 1, 1)
        out[n, :, i, j] = matrix[n].reshape(2, 3).astype(np.float64) @ position
    return out


def warped_grid(flow):
    out = np.zeros(flow.shape)
    for i, j in np.ndindex(flow.shape[2:]):
        out[:, 0, i, j] = 2 * (flow[:, 0, i, j] + j) / (flow.shape[3] - 1) - 1
        out[:, 1, i, j] = 2 * (flow[:, 1, i, j] + i) / (flow.shape[2] - 1) - 1
    return out
