"""Plot the loss and the recall of a run over its iterations."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.errors import MissingPackageError, RunError
from gluon_lifted.extras import install_command
from gluon_lifted.files import replaced_file
from gluon_lifted.logs.baseline_lines import LONGEST, draw_baseline, spread_labels
from gluon_lifted.logs.recall_files import read_baselines
from gluon_lifted.logs.run_log import METRICS_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

    from gluon_lifted.logs.recall_files import Baselines

CURVES_FILE = "curves.png"
WIDTH, DPI = 9.0, 120  # inches, pixels an inch
TITLE_HEIGHT, LINE_HEIGHT, PANEL_HEIGHT = 0.8, 0.25, 2.85  # inches
PADDING = 0.12  # inches around and between panels
LOSS, RECALL, GRAY = "#2f6db5", "#c4622d", "#777777"
WINDOWS = 50  # windows of the running median per run
CURVE = 2  # points that make a curve; a single one is written as text
MIN_SPAN = 4  # percent of recall, so that noise does not fill the plot
FAR_FROM_ZERO = 0.75  # an axis starts at 0 unless its lowest value exceeds this share of its highest
SPREAD = 20  # above this ratio of the largest loss to the median the axis is logarithmic
LARGEST = 1e100  # far beyond float32; axes overflow near the limit of float64
TITLE_LENGTH = 70  # characters that fit the width


class Curve(NamedTuple):
    """A measured value over the iterations: (M,) each."""

    iterations: NDArray[np.float64]
    values: NDArray[np.float64]


def draw_curves(run: Path, kept: int | None = None) -> Path:
    """Draw the log of a run to ``curves.png`` in its folder: loss above, recall@1 below.

    Horizontal lines in the lower panel are what was measured before training: raw pixels, pooled features and the
    embedding.

    The loss of each iteration is a faint point. The line is the running median over a fiftieth of the run, which is
    robust to single bad batches. Its last value and the last recall are printed. If the largest loss is more than 20
    times the median, the axis is logarithmic. Axes start at 0. An axis whose values are all far from 0 shows where it
    starts instead. A value that was measured fewer than two times gets no panel and is written below the title.
    Unreadable lines of the log are skipped.

    Parameters
    ----------
    run : Path
        A run folder with its ``metrics.jsonl``.
    kept : int, optional
        Iteration whose weights were kept. A ring marks its recall.

    Returns
    -------
    Path
        The PNG file.

    Raises
    ------
    RunError
        If the log cannot be read, or the plot cannot be written.
    MissingPackageError
        If Matplotlib is not installed.
    """
    loss, recall = read_curves(run / METRICS_FILE)
    baselines = read_baselines(run)
    has_panel = [len(curve.values) >= CURVE for curve in (loss, recall)]
    text = unplotted(loss, recall, baselines)
    figure = _new_figure(sum(has_panel), len(text))
    panels = figure.subplots(max(1, sum(has_panel)), sharex=True, squeeze=False)[:, 0]
    labels = []
    if has_panel[0]:
        _draw_loss(panels[0], loss)
    if has_panel[1]:
        labels = _draw_recall(panels[-1], recall, baselines)
        _mark_kept(panels[-1], recall, kept)
    _write_around(figure, panels, _printable(run.resolve().name), text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # in the run's name; drawn as a box
        figure.draw_without_rendering()  # lay out once: each further draw would do so again
        figure.set_layout_engine("none")
        if labels:
            spread_labels(figure, panels[-1], labels)
        _save(figure, run / CURVES_FILE)
    return run / CURVES_FILE


def read_curves(path: Path) -> tuple[Curve, Curve]:
    """Read loss and recall@1 from a log, each at the iterations where it was measured and finite."""
    points: dict[str, list[tuple[float, float]]] = {"loss": [], "recall@1": []}
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                entry = _entry(line)
                iteration = _number(entry.get("iteration"))
                for name, curve in points.items():
                    value = _number(entry.get(name))
                    if iteration is not None and value is not None:
                        curve.append((iteration, value))
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror}). Give a run folder, which `lifted train` writes."
        ) from None
    loss, recall = (Curve(*np.array(points[name]).reshape(-1, 2).T) for name in ("loss", "recall@1"))
    return loss, recall


def unplotted(loss: Curve, recall: Curve, baselines: Baselines) -> list[str]:
    """Return lines of text with the values that have no panel, since a single point is not a curve."""
    lines = []
    if len(loss.values) < CURVE:
        lines.append(_single("loss", loss, "{:.4g}", 1))
    if len(recall.values) < CURVE:
        lines.append(_single("recall@1", recall, "{:.3g} %", 100))
        before = ", ".join(f"{name[:LONGEST]} {100 * value:.3g} %" for name, value in baselines.recall.items())
        lines += [f"before training, {baselines.images}:", before] if before else []
    return lines


def _single(name: str, curve: Curve, form: str, factor: int) -> str:
    if not len(curve.values):
        return f"{name} was not measured during training"
    return f"{name} {form.format(factor * curve.values[0])} at iteration {curve.iterations[0]:,.0f}"


def running_median(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the median of a window around each value, (M,), and the window's odd length. Ends are mirrored."""
    from scipy.ndimage import median_filter

    window = 2 * (len(values) // (2 * WINDOWS)) + 1
    return median_filter(values, size=window, mode="reflect"), window


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < LARGEST else None


def _new_figure(panels: int, lines: int) -> Figure:
    try:
        from matplotlib import figure
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise MissingPackageError(
            f"Matplotlib is not installed, and drawing curves needs it. Install it: `{install_command('train')}`"
        ) from None
    height = TITLE_HEIGHT + LINE_HEIGHT * lines + PANEL_HEIGHT * panels
    drawn = figure.Figure(figsize=(WIDTH, height), dpi=DPI)  # without pyplot: no window
    drawn.set_layout_engine("constrained", w_pad=PADDING, h_pad=PADDING)
    return drawn


def _write_around(figure: Figure, panels: NDArray[np.object_], title: str, text: list[str]) -> None:
    """Write the title, the values without a panel, and the iterations of the lowest panel."""
    figure.suptitle(title, fontsize=15, parse_math=False)
    if text:
        panels[0].set_title("\n".join(text), fontsize=11, color=GRAY, parse_math=False)
    lowest = panels[-1]
    if not lowest.has_data():
        lowest.set_axis_off()
        return
    lowest.set_xlabel("iteration", fontsize=13)
    lowest.xaxis.set_major_formatter("{x:,.0f}")
    lowest.locator_params(axis="x", integer=True, min_n_ticks=1)
    figure.align_ylabels()


def _draw_loss(axes: Axes, loss: Curve) -> None:
    _style(axes, "loss")
    median, window = running_median(loss.values)
    if window > 1:
        axes.plot(*loss, ".", color=LOSS, alpha=0.25, markersize=4, markeredgewidth=0, label="a batch")
    axes.plot(loss.iterations, median, color=LOSS, linewidth=2.2, label=f"median of {window}")
    if loss.values.min() > 0 and loss.values.max() > SPREAD * np.median(loss.values):
        axes.set_yscale("log")
        axes.set_ylabel("loss\n(logarithmic axis)", fontsize=13)
    else:
        _start_at_zero(axes, loss.values)
    if window > 1:
        axes.legend(loc="best", frameon=False, fontsize=11, markerscale=2)
    _write_last(axes, loss.iterations[-1], median[-1], f"{median[-1]:.4g}", LOSS)


def _draw_recall(axes: Axes, recall: Curve, baselines: Baselines) -> list[Annotation]:
    """Draw the curve and the baselines. Return the labels in the right margin."""
    _style(axes, f"recall@1 (%)\n{baselines.images}".rstrip())
    values = 100 * recall.values
    labels = [draw_baseline(axes, name, 100 * value) for name, value in baselines.recall.items()]
    axes.plot(recall.iterations, values, "o-", color=RECALL, linewidth=2.2, markersize=5)
    labels.append(_write_last(axes, recall.iterations[-1], values[-1], f"{values[-1]:.3g} %", RECALL))
    low, high = axes.get_ylim()
    spare = max(0, MIN_SPAN - (high - low)) / 2
    axes.set_ylim(low - spare, high + spare)
    _start_at_zero(axes, np.array([*values, *(100 * value for value in baselines.recall.values())]))
    return labels


def _start_at_zero(axes: Axes, values: NDArray[np.float64]) -> None:
    """Start the axis at 0; if that would flatten the curve, say where it starts instead."""
    if 0 <= values.min() <= FAR_FROM_ZERO * values.max() or not values.any():
        axes.set_ylim(bottom=0)
    else:
        axes.set_ylabel(f"{axes.get_ylabel()}\n(axis starts at {axes.get_ylim()[0]:.4g})", fontsize=13)


def _mark_kept(axes: Axes, recall: Curve, kept: int | None) -> None:
    at = recall.iterations == kept
    if at.any():
        point = (recall.iterations[at], 100 * recall.values[at])
        (ring,) = axes.plot(*point, "o", color=RECALL, fillstyle="none", markersize=12, markeredgewidth=1.8)
        ring.set(label="kept weights", clip_on=False)
        axes.legend(loc="best", frameon=False, fontsize=11)


def _save(figure: Figure, path: Path) -> None:
    try:
        with replaced_file(path) as temporary:
            figure.savefig(temporary, format="png", backend="agg")
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}). Make room, or change the permissions.") from None


def _style(axes: Axes, name: str) -> None:
    axes.set_ylabel(name, fontsize=13)
    axes.tick_params(labelsize=11)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _write_last(axes: Axes, iteration: float, value: float, text: str, color: str) -> Annotation:
    """Mark a curve's last point and print its value to the right."""
    axes.plot(iteration, value, "o", color=color, markersize=6)
    return axes.annotate(
        text,
        (iteration, value),
        (8, 0),
        textcoords="offset points",
        va="center",
        color=color,
        fontsize=12,
        weight="bold",
    )


def _printable(name: str) -> str:
    """Make a file name drawable: no control characters, no lone surrogates, not wider than the plot."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= TITLE_LENGTH else shown[: TITLE_LENGTH - 1] + "…"
