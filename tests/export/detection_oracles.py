"""What detection networks compute after their last convolution, in plain loops."""

from __future__ import annotations

import math

import numpy as np


def modulo(x, y):
    """The remainder with the divisor's sign; 0 for a division by 0."""
    x, y = np.broadcast_arrays(x, y)
    out = np.zeros(x.shape, np.result_type(x, y))
    for index in np.ndindex(x.shape):
        divisor = y[index].item()
        out[index] = 0 if divisor == 0 else x[index].item() % divisor
    return out


def choose(condition, x, y):
    """Elements of x or y; a condition of one axis chooses rows."""
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        truth = condition[index[0]] if condition.shape != x.shape else condition[index]
        out[index] = x[index] if truth != 0 else y[index]
    return out


def top_k(x, k, axis=-1, ascending=False):
    """Values and indices of the first k elements; equal elements stay in order."""
    along = np.moveaxis(x, axis, -1)
    indices = np.zeros((*along.shape[:-1], k), np.int64)
    for index in np.ndindex(along.shape[:-1]):
        row = along[index].tolist()
        indices[index] = sorted(range(len(row)), key=lambda i: row[i] if ascending else -row[i])[:k]
    values = np.take_along_axis(along, indices, -1)
    return np.moveaxis(values, -1, axis), np.moveaxis(indices, -1, axis).astype(np.float32)


def gather_nd(data, indices):
    out = np.zeros((*indices.shape[1:], *data.shape[len(indices) :]), data.dtype)
    for index in np.ndindex(indices.shape[1:]):
        out[index] = data[tuple(int(number) for number in indices[(slice(None), *index)])]
    return out


def box_decode(offsets, anchors, std=(1, 1, 1, 1), clip=math.inf, corners=False):
    out = np.zeros(offsets.shape)
    for n, box in np.ndindex(offsets.shape[:2]):
        anchor = [float(number) for number in anchors[0, box]]
        for axis in (0, 1):
            size = anchor[axis + 2] - (anchor[axis] if corners else 0)
            middle = anchor[axis] + (size / 2 if corners else 0)
            center = middle + offsets[n, box, axis] * std[axis] * size
            half = math.exp(min(offsets[n, box, axis + 2] * std[axis + 2], clip)) * size / 2
            out[n, box, axis], out[n, box, axis + 2] = center - half, center + half
    return out.astype(np.float32)


NMS_DEFAULTS = {
    **{"overlap": 0.5, "least": 0.0, "top": -1, "start": 2, "score": 1, "label": -1, "background": -1},
    **{"force": False, "center": False, "out_center": False},
}


def box_nms(boxes, **settings):
    """Take the boxes by descending score, each unless a box taken before it overlaps it; then rows of -1."""
    given = NMS_DEFAULTS | settings
    start, score, label = (given[name] for name in ("start", "score", "label"))
    out = np.full(boxes.shape, -1, boxes.dtype)
    for index in np.ndindex(boxes.shape[:-2]):
        rows = [row for row in boxes[index] if row[score] > given["least"]]
        rows = sorted((row for row in rows if label < 0 or row[label] != given["background"]), key=lambda r: -r[score])
        taken = []
        for row in rows[: given["top"] if given["top"] >= 0 else None]:
            edges = corners(row[start : start + 4], given["center"])
            rivals = [other for other in taken if given["force"] or label < 0 or int(other[label]) == int(row[label])]
            rivals = [corners(other[start : start + 4], given["center"]) for other in rivals]
            if not any(overlap_of(edges, other) > given["overlap"] for other in rivals):
                taken.append(row)
        for rank, row in enumerate(taken):
            out[index][rank] = row
            if given["center"] != given["out_center"] and row[start] >= 0:
                out[index][rank, start : start + 4] = other_format(row[start : start + 4], given["center"])
    return out


def corners(box, center):
    return other_format(box, center) if center else [float(number) for number in box]


def other_format(box, center):
    a, b, c, d = (float(number) for number in box)
    return [a - c / 2, b - d / 2, a + c / 2, b + d / 2] if center else [(a + c) / 2, (b + d) / 2, c - a, d - b]


def overlap_of(one, other):
    """Area of the intersection divided by that of the union; boxes with an edge before their start are empty."""
    sides = [min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) for axis in (0, 1)]
    if min(sides) <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1])


def roi_align(images, regions, size, scale=1.0, samples=0, aligned=False):
    out = np.zeros((len(regions), images.shape[1], *size))
    for index, (image, *edges) in enumerate(regions):
        left, top, right, bottom = (edge * scale - aligned / 2 for edge in edges)
        starts, lengths = (top, left), [bottom - top, right - left]
        lengths = lengths if aligned else [max(length, 1) for length in lengths]
        for i, j in np.ndindex(*size):
            rows, columns = (
                [
                    starts[axis] + lengths[axis] / size[axis] * (cell + (step + 0.5) / count)
                    for count in [samples or math.ceil(lengths[axis] / size[axis])]
                    for step in range(count)
                ]
                for axis, cell in enumerate((i, j))
            )
            values = [bilinear(images[int(image)], y, x) for y in rows for x in columns]
            out[index, :, i, j] = np.mean(values, axis=0) if image >= 0 else 0
    return out.astype(np.float32)


def bilinear(image, y, x):
    """Interpolate a pixel; positions more than 1 outside are 0, others move to the edge."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(len(image))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = image[:, top, left] * (left + 1 - x) + image[:, top, right] * (x - left)
    lower = image[:, bottom, left] * (left + 1 - x) + image[:, bottom, right] * (x - left)
    return upper * (top + 1 - y) + lower * (y - top)


def roi_pooling(images, regions, size, scale=1.0):
    height, width = images.shape[2:]
    out = np.zeros((len(regions), images.shape[1], *size), np.float32)
    for index, (image, *edges) in enumerate(regions):
        left, top, right, bottom = (math.floor(abs(edge * scale) + 0.5) * (-1 if edge < 0 else 1) for edge in edges)
        lengths = [max(bottom - top + 1, 1), max(right - left + 1, 1)]
        for i, j in np.ndindex(*size):
            (first, last), (start, stop) = (
                (math.floor(cell * lengths[axis] / size[axis]), math.ceil((cell + 1) * lengths[axis] / size[axis]))
                for axis, cell in enumerate((i, j))
            )
            first, last = (min(max(edge + top, 0), height) for edge in (first, last))
            start, stop = (min(max(edge + left, 0), width) for edge in (start, stop))
            if last > first and stop > start:
                out[index, :, i, j] = images[int(image), :, first:last, start:stop].max(axis=(1, 2))
    return out
