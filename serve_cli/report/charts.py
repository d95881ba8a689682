"""Draw charts as SVG. The page's style sheet sets colors and fonts. No text comes from the embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from serve_cli.evaluate.metrics import recall_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from serve_cli.report.pairs import PairDistances
    from serve_cli.report.summary import CurvePoint

WIDTH, HEIGHT = 440, 280  # of the view box; text of size 13 is legible on a phone of 360 px
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 12, 44  # margins
MOST_LABELS = 9  # below the x axis


class Tick(NamedTuple):
    """A position on an axis, in pixels of the view box, and its text."""

    at: float
    text: str


class Line(NamedTuple):
    """A line beside that of the model: its class in the style sheet, its name, and k -> recall."""

    kind: str
    name: str
    recall: Mapping[int, float]


def recall_chart(curve: Sequence[CurvePoint], recall: Mapping[int, float], others: Sequence[Line] = ()) -> str:
    """Draw recall over k on a logarithmic axis: the model with dots at the table's k, other lines, and chance."""
    doublings = math.log2(curve[-1].k) or 1.0

    def x(k: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log2(k) / doublings

    powers = [2**power for power in range(int(math.log2(curve[-1].k)) + 1)]
    step = math.ceil(len(powers) / MOST_LABELS)
    dots = "".join(
        f'<circle class="dot" cx="{x(k):.1f}" cy="{_share_y(value):.1f}" r="3.5">'
        f"<title>{recall_name(k)}: {100 * value:.2f} %</title></circle>"
        for k, value in recall.items()
        if k <= curve[-1].k
    )
    beside = "".join(f"; {line.name} {100 * line.recall[1]:.1f} % at k = 1" for line in others)
    return _chart(
        f"Recall at k, from {100 * curve[0].recall:.1f} % at k = 1 to {100 * curve[-1].recall:.1f} % at k = "
        f"{curve[-1].k}{beside}",
        _axes([Tick(x(k), str(k)) for k in powers[::step]], _percent_ticks(), "k", "recall (%)"),
        _line("chance", ((x(point.k), _share_y(point.chance)) for point in curve)),
        *(
            _line(line.kind, ((x(k), _share_y(value)) for k, value in line.recall.items() if k <= curve[-1].k))
            for line in others
        ),
        _line("recall", ((x(point.k), _share_y(point.recall)) for point in curve)),
        dots,
    )


def distance_chart(pairs: PairDistances) -> str:
    """Draw both histograms in one chart."""
    top_distance = float(pairs.edges[-1])
    top_share = float(max(pairs.positive.max(), pairs.negative.max())) or 1.0

    def x(distance: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * distance / top_distance

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share / top_share

    shares = [Tick(y(share), f"{100 * share:g}") for share in nice_steps(top_share, 4)]
    return _chart(
        f"Distances of positive and negative pairs; their histograms share {100 * pairs.overlap:.0f} % of their area",
        _axes([Tick(x(at), f"{at:g}") for at in nice_steps(top_distance, 6)], shares, "distance", "pairs (%)"),
        _steps("negative", pairs.edges, pairs.negative, x, y),
        _steps("positive", pairs.edges, pairs.positive, x, y),
    )


def nice_steps(top: float, most: int) -> list[float]:
    """Return 0 and multiples of 1, 2 or 5 times a power of ten up to ``top``, about ``most`` numbers.

    Examples
    --------
    >>> nice_steps(0.9, 4)
    [0.0, 0.5]
    >>> nice_steps(23.0, 6)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * most >= top * (1 - 1e-9))
    count = int(top / step * (1 + 1e-9))
    digits = max(0, -math.floor(math.log10(step)))
    return [round(number * step, digits) for number in range(count + 1)]


def _share_y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _percent_ticks() -> list[Tick]:
    return [Tick(_share_y(percent / 100), str(percent)) for percent in (0, 25, 50, 75, 100)]


def _chart(label: str, *content: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"><title>{label}</title>'
        + "".join(content)
        + "</svg>"
    )


def _axes(below: Iterable[Tick], beside: Iterable[Tick], name_below: str, name_beside: str) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{at + 4.5:.1f}" text-anchor="end">{text}</text>'
        for at, text in beside
    ]
    lines += [
        f'<line class="tick" x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>'
        for at, text in below
    ]
    middle_x, middle_y = (LEFT + right) / 2, (TOP + bottom) / 2
    lines.append(f'<text class="axis" x="{middle_x}" y="{HEIGHT - 6}" text-anchor="middle">{name_below}</text>')
    turned = f'transform="rotate(-90 11 {middle_y})"'
    lines.append(f'<text class="axis" x="11" y="{middle_y}" text-anchor="middle" {turned}>{name_beside}</text>')
    return "".join(lines)


def _line(name: str, points: Iterable[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line {name}" points="{path}"/>'


def _steps(
    name: str,
    edges: NDArray[np.float64],
    shares: NDArray[np.float64],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> str:
    """Draw a filled histogram."""
    path = [f"M{x(edges[0]):.1f},{y(0):.1f}"]
    for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True):
        path.append(f"L{x(left):.1f},{y(share):.1f}L{x(right):.1f},{y(share):.1f}")
    return f'<path class="area {name}" d="{"".join(path)}L{x(edges[-1]):.1f},{y(0):.1f}Z"/>'
