import doctest
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_cli.report import charts
from serve_cli.report.charts import (
    HEIGHT,
    WIDTH,
    Line,
    distance_chart,
    nice_steps,
    recall_chart,
)
from serve_cli.report.pairs import PairDistances, pair_distances
from serve_cli.report.summary import CurvePoint, curve_ks
from tests.serve_cli.report.made import blobs, embeddings_of


def numbers_inside(svg):
    """All coordinates of a chart lie in its view box."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx", "y", "y1", "y2", "cy"):
            if name in element.attrib:
                assert -1 <= float(element.attrib[name]) <= (WIDTH if name.startswith(("x", "cx")) else HEIGHT)
        for text in (element.get("points", ""), element.get("d", "")):
            for x, y in re.findall(r"([-\d.]+),([-\d.]+)", text):
                assert 0 <= float(x) <= WIDTH
                assert 0 <= float(y) <= HEIGHT
    return root


@pytest.mark.parametrize("gallery", [1, 2, 3, 40, 100_000])
def test_recall_chart_has_a_dot_for_each_rank_of_the_table(gallery):
    curve = [CurvePoint(k, k / (k + 1), k / gallery / 2) for k in curve_ks(gallery)]
    recall = {k: k / (k + 1) for k in (1, 2, 4, 2000) if k <= gallery}
    root = numbers_inside(recall_chart(curve, recall))
    dots = [element for element in root.iter() if element.get("class") == "dot"]
    assert len(dots) == len([k for k in recall if k <= 1024])
    assert dots[0][0].text == "R@1: 50.00 %"
    assert root.get("aria-label", "").startswith("Recall at k, from 50.0 % at k = 1")
    heights = [float(dot.get("cy")) for dot in dots]
    assert heights == sorted(heights, reverse=True)  # more recall is higher


def test_lines_beside_the_model():
    curve = [CurvePoint(k, 0.9, 0.1) for k in curve_ks(40)]
    others = [Line("pixels", "raw pixels", {1: 0.25, 8: 0.5, 64: 0.75}), Line("other", "the other model", {1: 0.5})]
    root = numbers_inside(recall_chart(curve, {1: 0.9}, others))
    lines = {element.get("class"): element.get("points").split() for element in root.iter() if element.get("points")}
    assert list(lines) == ["line chance", "line pixels", "line other", "line recall"]
    assert len(lines["line pixels"]) == 2  # 64 is beyond the curve
    bottom, height = HEIGHT - charts.BOTTOM, HEIGHT - charts.BOTTOM - charts.TOP
    assert lines["line pixels"][0] == f"{charts.LEFT}.0,{bottom - height / 4:.1f}"
    assert root.get("aria-label").endswith("; raw pixels 25.0 % at k = 1; the other model 50.0 % at k = 1")


@pytest.mark.parametrize(
    "embeddings",
    [blobs([5, 9, 30]), embeddings_of([[0.0], [1.0]], [0, 1]), embeddings_of([[2.0], [2.0], [2.0]], [0, 0, 0])],
)
def test_distance_chart(embeddings):
    root = numbers_inside(distance_chart(pair_distances(embeddings, seed=0)))
    assert [element.get("class") for element in root.iter() if "area" in element.get("class", "")] == [
        "area negative",
        "area positive",
    ]


def test_area_of_a_histogram_is_its_share():
    """One bin of two holds a quarter, the other three: the higher one reaches the top, the lower a third of it."""
    pairs = PairDistances(np.array([0.0, 1.0, 2.0]), np.array([0.25, 0.75]), np.zeros(2), 4, 0, 4, 0, 1.0, 1.0)
    path = next(
        element.get("d")
        for element in ElementTree.fromstring(distance_chart(pairs)).iter()
        if element.get("class") == "area positive"
    )
    heights = [HEIGHT - charts.BOTTOM - float(y) for _, y in re.findall(r"([-\d.]+),([-\d.]+)", path)]
    top = HEIGHT - charts.BOTTOM - charts.TOP
    assert heights == pytest.approx([0, top / 3, top / 3, top, top, 0], abs=0.1)


@given(st.floats(1e-9, 1e9), st.integers(2, 9))
def test_steps_are_even_and_within(top, most):
    steps = nice_steps(top, most)
    assert steps[0] == 0
    assert 1 <= len(steps) <= most + 1
    assert steps[-1] <= top * (1 + 1e-6)
    np.testing.assert_allclose(np.diff(steps), steps[1] if len(steps) > 1 else 0, rtol=1e-6)
    if len(steps) > 1:
        assert top < steps[-1] + steps[1] * (1 + 1e-6)


def test_examples():
    assert doctest.testmod(charts).failed == 0
