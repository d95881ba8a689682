"""Horizontal lines with a label each, in the right margin of a plot. Labels of close lines are moved apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.metrics.recall_comparison import EMBEDDING, PIXELS, POOLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

STYLES = {EMBEDDING: "--", POOLED: "-.", PIXELS: ":"}  # distinct without color
NAMES = {EMBEDDING: "embedding at start", POOLED: "pooled at start"}
LABEL_HEIGHT = 14.0  # points between the middles of two labels
GRAY = "#444444"
MARGIN = 8.0  # points between the plot and a label
LONGEST = 24  # characters of a name


def draw_baseline(axes: Axes, name: str, value: float) -> Annotation:
    """Draw a line at ``value`` percent over the whole width, and its name and value to the right."""
    axes.axhline(value, color=GRAY, linestyle=STYLES.get(name, (0, (5, 5))), linewidth=1.4)
    return axes.annotate(
        f"{NAMES.get(name, name)[:LONGEST]} {value:.3g} %",
        (1, value),
        (MARGIN, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        color=GRAY,
        fontsize=10,
        parse_math=False,
    )


def spread_labels(figure: Figure, axes: Axes, labels: Sequence[Annotation]) -> None:
    """Move labels of a laid-out figure apart vertically, in the order of their values, so that none covers another."""
    points_per_pixel = 72 / figure.dpi
    ordered = sorted(labels, key=lambda label: label.xy[1])
    wanted = [float(axes.transData.transform((0, label.xy[1]))[1]) * points_per_pixel for label in ordered]
    for label, height, own in zip(ordered, spread(wanted, LABEL_HEIGHT), wanted, strict=True):
        label.xyann = (label.xyann[0], height - own)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Return ascending heights at least ``gap`` apart, each group of close ones centered on its mean.

    Examples
    --------
    >>> spread([0.0, 50.0, 51.0], 10.0)
    [0.0, 45.5, 55.5]
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1], gap) - _top(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, gap) + gap * number for group in groups for number in range(len(group))]


def _bottom(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _top(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) + gap * (len(group) - 1) / 2
