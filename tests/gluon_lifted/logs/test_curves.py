"""Pictures of runs: what is in them, and runs of which there is little to draw."""

import json
import statistics
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gluon_lifted.errors import MissingPackageError, RunError
from gluon_lifted.logs.curves import draw_curves, read_curves, running_median
from tests.examples import examples

pytestmark = pytest.mark.slow

figure_module = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")


def write_log(run, entries):
    run.mkdir(exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return run


def losses(num, **last):
    entries = [{"iteration": i, "loss": 5.0 + i % 3, "images_per_second": 9.0} for i in range(1, num + 1)]
    entries[-1] |= last
    return entries


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved."""
    figures, save = [], figure_module.Figure.savefig

    def savefig(figure, *args, **options):
        figures.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(figure_module.Figure, "savefig", savefig)
    return figures


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_picture_holds_the_measured_values(tmp_path, drawn):
    entries = losses(300)
    for i in (99, 199, 299):
        entries[i]["recall@1"] = i / 1000
    path = draw_curves(write_log(tmp_path / "first run", entries))
    assert path == tmp_path / "first run" / "curves.png"
    with Image.open(path) as image:
        image.load()
        assert (image.format, image.size) == ("PNG", (1080, 780))
    loss, recall = drawn[0].axes
    assert drawn[0].get_suptitle() == "first run"
    assert loss.get_title() == ""
    np.testing.assert_array_equal(
        loss.lines[0].get_xydata(), [(entry["iteration"], entry["loss"]) for entry in entries]
    )
    median, window = running_median(np.array([entry["loss"] for entry in entries]))
    np.testing.assert_array_equal(loss.lines[1].get_xydata(), np.stack([np.arange(1, 301), median], axis=1))
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["a batch", f"median of {window}"]
    np.testing.assert_allclose(recall.lines[0].get_xydata(), [(100, 9.9), (200, 19.9), (300, 29.9)])
    assert (loss.get_ylabel(), recall.get_ylabel(), recall.get_xlabel()) == ("loss", "recall@1 (%)", "iteration")


def test_a_ring_marks_the_kept_weights(tmp_path, drawn):
    entries = losses(30)
    for i in (9, 19, 29):
        entries[i]["recall@1"] = i / 100
    for kept, expected in ((20, [(20, 19)]), (7, []), (None, [])):  # 7 was not measured
        draw_curves(write_log(tmp_path, entries), kept)
        rings = [line for line in drawn[-1].axes[1].lines if line.get_fillstyle() == "none"]
        assert [tuple(point) for ring in rings for point in ring.get_xydata()] == expected


def test_both_panels_have_the_same_iterations(tmp_path, drawn):
    draw_curves(write_log(tmp_path, [*losses(30, **{"recall@1": 0.5}), {"iteration": 31, "recall@1": 0.5}]))
    loss, recall = drawn[0].axes
    assert loss.get_xlim() == recall.get_xlim()
    first, last = loss.get_xlim()
    assert first <= 1
    assert last >= 31


def test_the_last_values_are_written_out(tmp_path, drawn):
    entries = [{"iteration": i, "loss": 4.25 - (i > 10), "recall@1": 0.3} for i in range(1, 20)]
    entries.append({"iteration": 20, "recall@1": 0.4567})
    draw_curves(write_log(tmp_path, entries))
    loss, recall = drawn[0].axes
    assert texts(loss) == ["3.25"]
    assert texts(recall) == ["45.7 %"]


@pytest.mark.parametrize(("spike", "scale"), [(90.0, "linear"), (130.0, "log")])
def test_a_spike_far_above_the_rest_makes_the_axis_logarithmic(tmp_path, drawn, spike, scale):
    draw_curves(write_log(tmp_path, losses(100, loss=spike)))
    axes = drawn[0].axes[0]
    assert axes.get_yscale() == scale
    assert axes.get_ylabel() == ("loss" if scale == "linear" else "loss\n(logarithmic axis)")


def test_a_loss_of_0_keeps_the_axis_linear(tmp_path, drawn):
    draw_curves(write_log(tmp_path, [*losses(100, loss=500.0), {"iteration": 101, "loss": 0.0}]))
    assert drawn[0].axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ((0.4, 0.3), "loss"),
        ((7.8, 7.5), "loss\n(axis starts at 7.485)"),
        ((0.0, 0.0), "loss"),
        ((-1.0, 3.0), "loss\n(axis starts at -1.2)"),
    ],
)
def test_an_axis_starts_at_0_or_says_so(tmp_path, drawn, values, label):
    draw_curves(write_log(tmp_path, [{"iteration": i, "loss": value} for i, value in enumerate(values)]))
    axes = drawn[0].axes[0]
    assert axes.get_ylabel() == label
    assert (axes.get_ylim()[0] == 0) == (label == "loss")


@pytest.mark.parametrize(("start", "label"), [(None, "recall@1 (%)\n(axis starts at 85.05)"), (0.2, "recall@1 (%)")])
def test_the_recall_axis_starts_at_0_or_says_so(tmp_path, drawn, start, label):
    recall = [{"iteration": i, "recall@1": 0.9} for i in (1, 2)]
    write_log(tmp_path, recall)
    if start is not None:
        write_start(tmp_path, embedding=start)
    draw_curves(tmp_path)
    axes = drawn[0].axes[0]
    assert axes.get_ylabel().replace("\n1,842 images, 10 classes", "") == label
    assert (axes.get_ylim()[0] == 0) == (start is not None)


RECALLS = [{"iteration": i, "recall@1": 0.5} for i in (1, 2)]


@pytest.mark.parametrize(
    ("entries", "panels", "text"),
    [
        ([], [], "loss was not measured during training\nrecall@1 was not measured during training"),
        (losses(1), [], "loss 6 at iteration 1\nrecall@1 was not measured during training"),
        (losses(2), ["loss"], "recall@1 was not measured during training"),
        ([{"iteration": 1, "loss": 0.0}], [], "loss 0 at iteration 1\nrecall@1 was not measured during training"),
        (RECALLS[:1], [], "loss was not measured during training\nrecall@1 50 % at iteration 1"),
        (RECALLS, ["recall@1 (%)"], "loss was not measured during training"),
        (losses(1200, **{"recall@1": 0.0}), ["loss"], "recall@1 0 % at iteration 1,200"),
    ],
)
def test_a_single_point_gets_text_and_no_panel(tmp_path, drawn, entries, panels, text):
    draw_curves(write_log(tmp_path, entries))
    first, *_ = axes = drawn[0].axes
    assert [one.get_ylabel().split("\n")[0] for one in axes if one.axison] == panels
    assert first.get_title() == text


@pytest.mark.parametrize("num", [1, 2, 5])
def test_iterations_are_whole_numbers_on_the_axis(tmp_path, drawn, num):
    draw_curves(write_log(tmp_path, losses(num)))
    labels = [label.get_text() for label in drawn[0].axes[0].get_xticklabels()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    "line",
    [
        '{"iteration": 2, "lo',
        "",
        "[1, 2]",
        "7",
        '{"loss": 1.0}',
        '{"iteration": "2", "loss": 1.0}',
        '{"iteration": 2, "loss": "1.0"}',
        '{"iteration": 2, "loss": null}',
        '{"iteration": 2, "loss": NaN, "recall@1": -Infinity}',
        '{"iteration": 1e999, "loss": 1.0}',
        '{"iteration": 2, "loss": 1e308}',
        '{"iteration": 1' + 400 * "0" + ', "loss": 1.0}',
        '{"iteration": 1' + 9000 * "0" + ', "loss": 1.0}',
        "[" * 200_000,
        "\0\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
    ids=lambda line: line[:40].replace("\0", "0"),
)
def test_lines_that_cannot_be_used_are_passed_over(tmp_path, line):
    write_log(tmp_path, losses(2))
    with (tmp_path / "metrics.jsonl").open("ab") as log:
        log.write(line.encode("latin-1") + b'\n{"iteration": 3, "loss": 9.0}\n')
    loss, recall = read_curves(tmp_path / "metrics.jsonl")
    assert loss.iterations.tolist() == [1, 2, 3]
    assert loss.values.tolist() == [6, 7, 9]
    assert not len(recall.values)


@examples(15, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(-1, 10**9), st.floats(width=32), st.one_of(st.none(), st.floats(0, 1))),
        max_size=12,
    )
)
def test_any_values_can_be_drawn(tmp_path_factory, points):
    entries = [{"iteration": i, "loss": loss, "recall@1": recall} for i, loss, recall in points]
    assert draw_curves(write_log(tmp_path_factory.mktemp("run"), entries)).is_file()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("$\\frac{$ 50% {x}", "$\\frac{$ 50% {x}"),  # not a formula
        ("猫 😀 \u0b85", "猫 😀 \u0b85"),
        ("a\nb\x07", "a?b?"),
        ("broken \udcff", "broken ?"),
        ("x" * 200, "x" * 69 + "…"),
    ],
)
def test_odd_names_of_runs(tmp_path, drawn, name, title):
    draw_curves(write_log(tmp_path / name, losses(3)))
    assert drawn[0].get_suptitle() == title


def test_the_running_median_is_that_of_loops():
    values = np.random.default_rng(0).normal(size=530)
    median, window = running_median(values)
    assert window == 11
    mirrored = [*values[4::-1], *values, *values[:-6:-1]]
    assert median.tolist() == [statistics.median(mirrored[i : i + 11]) for i in range(530)]


@pytest.mark.parametrize("num", [1, 2, 99])
def test_the_running_median_of_a_short_run_is_the_run(num):
    values = np.random.default_rng(0).normal(size=num)
    median, window = running_median(values)
    assert window == 1
    np.testing.assert_array_equal(median, values)


def test_an_earlier_picture_is_replaced(tmp_path):
    (tmp_path / "curves.png").write_text("old")
    draw_curves(write_log(tmp_path, losses(3)))
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]


def test_a_drawing_that_fails_leaves_the_earlier_picture(tmp_path, monkeypatch):
    def savefig(_, path, **__):
        path.write_text("half a")
        raise OSError(28, "No space left on device")

    draw_curves(write_log(tmp_path, losses(3)))
    before = (tmp_path / "curves.png").read_bytes()
    monkeypatch.setattr(figure_module.Figure, "savefig", savefig)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)"):
        draw_curves(tmp_path)
    assert (tmp_path / "curves.png").read_bytes() == before


def test_pyplot_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw_curves(write_log(tmp_path, losses(3)))


def test_a_folder_without_a_log(tmp_path):
    with pytest.raises(RunError, match=r"metrics.jsonl: cannot be read \(No such file"):
        draw_curves(tmp_path)


def test_a_picture_that_cannot_be_written(tmp_path):
    (write_log(tmp_path, losses(3)) / "curves.png").mkdir()
    with pytest.raises(RunError, match=r"curves.png: cannot be written"):
        draw_curves(tmp_path)


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[train\]"):
        draw_curves(write_log(tmp_path, losses(3)))


def write_start(run, **recall):
    entries = [{"name": name.replace("_", " "), "recall": {"1": {"value": value}}} for name, value in recall.items()]
    (run / "start.json").write_text(json.dumps({"images": 1842, "classes": 10, "embeddings": entries}))


@pytest.mark.parametrize("values", [(0.4, 0.301, 0.302), (0.0, 1.0, 0.299)], ids=str)
def test_labels_of_baselines_do_not_cover_each_other(tmp_path, drawn, values):
    write_log(tmp_path, [*losses(30, **{"recall@1": 0.3}), {"iteration": 31, "recall@1": 0.3}])
    write_start(tmp_path, embedding=values[0], pooled_features=values[1], raw_pixels=values[2])
    draw_curves(tmp_path)
    axes = drawn[0].axes[1]
    assert axes.get_ylabel() == "recall@1 (%)\n1,842 images, 10 classes"
    drawn[0].draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    assert not any(boxes[i].overlaps(boxes[j]) for i in range(4) for j in range(i))
    assert all(box.x1 <= drawn[0].bbox.x1 for box in boxes)
    lines = [line for line in axes.lines if line.get_linestyle() != "-" and len(line.get_xdata()) == 2]
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([100 * value for value in values])
    assert len({line.get_linestyle() for line in lines}) == 3  # distinct without color


def test_baselines_of_a_single_recall_are_text(tmp_path, drawn):
    write_start(write_log(tmp_path, losses(30, **{"recall@1": 0.3})), raw_pixels=0.25, embedding=0.125)
    draw_curves(tmp_path)
    (axes,) = drawn[0].axes
    assert axes.get_title() == (
        "recall@1 30 % at iteration 30\nbefore training, 1,842 images, 10 classes:\nraw pixels 25 %, embedding 12.5 %"
    )
