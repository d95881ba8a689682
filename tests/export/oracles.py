"""MXNet's operators in plain loops, in float64: dumber than any translation."""

from __future__ import annotations

import itertools
import math

import numpy as np


def convolution(x, weight, bias=None, stride=(1, 1), pad=(0, 0), dilate=(1, 1), groups=1):
    n, channels, height, width = x.shape
    filters, per_group, kh, kw = weight.shape
    padded = np.zeros((n, channels, height + 2 * pad[0], width + 2 * pad[1]))
    padded[:, :, pad[0] : pad[0] + height, pad[1] : pad[1] + width] = x
    rows = (padded.shape[2] - dilate[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (padded.shape[3] - dilate[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((n, filters, rows, columns))
    for f, i, j in itertools.product(range(filters), range(rows), range(columns)):
        first = f // (filters // groups) * per_group  # input channel of this filter's group
        for c, di, dj in itertools.product(range(per_group), range(kh), range(kw)):
            pixel = padded[:, first + c, i * stride[0] + di * dilate[0], j * stride[1] + dj * dilate[1]]
            out[:, f, i, j] += pixel * weight[f, c, di, dj]
        out[:, f, i, j] += 0 if bias is None else bias[f]
    return out


def deconvolution(x, weight, bias=None, stride=(1, 1), pad=(0, 0), dilate=(1, 1), adjust=(0, 0), groups=1):
    """Every pixel lays the kernel, times its value, onto a larger image, of which a frame is then cut off."""
    n, channels, height, width = x.shape
    _, per_group, kh, kw = weight.shape
    filters = per_group * groups
    rows = stride[0] * (height - 1) + dilate[0] * (kh - 1) + 1 + adjust[0]
    columns = stride[1] * (width - 1) + dilate[1] * (kw - 1) + 1 + adjust[1]
    out = np.zeros((n, filters, rows, columns))
    for c, f, i, j in itertools.product(range(channels), range(per_group), range(height), range(width)):
        filter_ = c // (channels // groups) * per_group + f
        for di, dj in itertools.product(range(kh), range(kw)):
            row, column = i * stride[0] + di * dilate[0], j * stride[1] + dj * dilate[1]
            out[:, filter_, row, column] += x[:, c, i, j] * weight[c, f, di, dj]
    out = out[:, :, pad[0] : rows - pad[0], pad[1] : columns - pad[1]]
    return out if bias is None else out + bias[:, None, None]


def pooling(x, kernel, stride=(1, 1), pad=(0, 0), kind="max", full=False, count_include_pad=True):
    size = x.shape[2:]
    rounding = math.ceil if full else math.floor
    outputs = [rounding((size[a] + 2 * pad[a] - kernel[a]) / stride[a]) + 1 for a in (0, 1)]
    out = np.zeros((*x.shape[:2], *outputs))
    for i, j in itertools.product(*map(range, outputs)):
        start = [index * stride[a] - pad[a] for a, index in enumerate((i, j))]
        stop = [min(start[a] + kernel[a], size[a] + pad[a]) for a in (0, 1)]
        area = (stop[0] - start[0]) * (stop[1] - start[1])
        window = x[:, :, max(start[0], 0) : min(stop[0], size[0]), max(start[1], 0) : min(stop[1], size[1])]
        if not count_include_pad:
            area = window.shape[2] * window.shape[3]
        out[:, :, i, j] = window.max(axis=(2, 3)) if kind == "max" else window.sum(axis=(2, 3)) / area
    return out


def global_pooling(x, kind):
    return (x.max if kind == "max" else x.mean)(axis=(2, 3), keepdims=True)


def lrn(x, size, alpha=1e-4, beta=0.75, knorm=2.0):
    out = np.zeros(x.shape)
    for c in range(x.shape[1]):
        near = range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1))
        energy = sum(x[:, other].astype(np.float64) ** 2 for other in near)
        out[:, c] = x[:, c] / (knorm + alpha / size * energy) ** beta
    return out


def batch_norm(x, gamma, beta, mean, variance, eps=1e-3, fix_gamma=True):
    out = np.zeros(x.shape)
    for c in range(x.shape[1]):
        scale = 1 if fix_gamma else gamma[c]
        out[:, c] = (x[:, c] - mean[c]) / math.sqrt(variance[c] + eps) * scale + beta[c]
    return out


def fully_connected(x, weight, bias=None, flatten=True):
    rows = x.reshape(len(x), -1) if flatten else x.reshape(-1, x.shape[-1])
    out = np.zeros((len(rows), len(weight)))
    for i, j in itertools.product(range(len(rows)), range(len(weight))):
        out[i, j] = sum(float(a) * float(b) for a, b in zip(rows[i], weight[j], strict=True))
        out[i, j] += 0 if bias is None else bias[j]
    return out if flatten else out.reshape(*x.shape[:-1], len(weight))


def l2_normalization(x, eps=1e-10):
    out = np.zeros(x.shape)
    for row in range(len(x)):
        out[row] = x[row] / math.sqrt(sum(float(value) ** 2 for value in x[row].ravel()) + eps)
    return out


def l2_normalization_over(x, axes, eps=1e-10):
    return x / np.sqrt((x.astype(np.float64) ** 2).sum(axis=axes, keepdims=True) + eps)


def instance_norm(x, gamma, beta, eps=1e-3):
    out = np.zeros(x.shape)
    for n, c in itertools.product(range(len(x)), range(x.shape[1])):
        values = x[n, c].astype(np.float64)
        out[n, c] = (values - values.mean()) / math.sqrt(values.var() + eps) * gamma[c] + beta[c]
    return out


def layer_norm(x, gamma, beta, axis=-1, eps=1e-5):
    along = np.moveaxis(x.astype(np.float64), axis, -1)
    out = np.zeros(along.shape)
    for index in np.ndindex(along.shape[:-1]):
        values = along[index]
        out[index] = (values - values.mean()) / math.sqrt(values.var() + eps) * gamma + beta
    return np.moveaxis(out, -1, axis)


def depth_to_space(x, block=2):
    n, channels, height, width = x.shape
    out = np.zeros((n, channels // block**2, height * block, width * block))
    for c, i, j in np.ndindex(out.shape[1:]):
        offset = (i % block) * block + j % block
        out[:, c, i, j] = x[:, offset * out.shape[1] + c, i // block, j // block]
    return out


def space_to_depth(x, block=2):
    n, channels, height, width = x.shape
    out = np.zeros((n, channels * block**2, height // block, width // block))
    for c, i, j in np.ndindex(x.shape[1:]):
        offset = (i % block) * block + j % block
        out[:, offset * channels + c, i // block, j // block] = x[:, c, i, j]
    return out


def softmax(x, axis):
    powers = np.exp(x.astype(np.float64))
    return powers / powers.sum(axis=axis, keepdims=True)


def selu(x):
    """Klambauer et al. 2017: the two constants that keep mean 0 and variance 1."""
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x.astype(np.float64)))


def gelu(x):
    return np.vectorize(lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2)(x.astype(np.float64))


def adaptive_average(x, rows, columns):
    height, width = x.shape[2:]
    out = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, bottom = math.floor(i * height / rows), math.ceil((i + 1) * height / rows)
            left, right = math.floor(j * width / columns), math.ceil((j + 1) * width / columns)
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean(axis=(2, 3))
    return out


def bilinear_resize(x, height, width, corners):
    out = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            top, down = _between(i, x.shape[2], height, corners)
            left, right = _between(j, x.shape[3], width, corners)
            bottom, far = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            upper = x[:, :, top, left] * (1 - right) + x[:, :, top, far] * right
            lower = x[:, :, bottom, left] * (1 - right) + x[:, :, bottom, far] * right
            out[:, :, i, j] = upper * (1 - down) + lower * down
    return out


def _between(index, size, wanted, corners):
    """Return the pixel before that of the new image, and the share of the next pixel."""
    if wanted == 1:
        return 0, 0
    where = index * (size - 1) / (wanted - 1) if corners else max((index + 0.5) * size / wanted - 0.5, 0)
    return int(where), where - int(where)
