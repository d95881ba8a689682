"""What `lifted eval` prints: tables for people, Markdown, CSV, JSON."""

import csv
import io
import json
import math
from dataclasses import replace

from gluon_lifted.metrics.bootstrap import Estimate
from serve_cli.evaluate.eval_report import Difference, EvalReport, Result
from serve_cli.evaluate.eval_tables import (
    footnotes,
    published_table,
    result_tables,
    to_csv,
    to_markdown,
)
from serve_cli.evaluate.published import PublishedRow

NAN = math.nan
COUNTS = (1234, 3, 1233, 0)
REPORT = EvalReport(
    results=(
        Result("a", 8, {"R@1": Estimate(0.25, 0.1, 0.4), "NMI": Estimate(0.5, NAN, NAN)}, *COUNTS),
        Result("b|c", 16, {"R@1": Estimate(0.2, 0.1, 0.3), "NMI": Estimate(NAN, NAN, NAN)}, *COUNTS),
    ),
    differences=(Difference("b|c", "a", {"R@1": Estimate(-0.05, -0.1, 0.01)}),),
    published=(
        PublishedRow("sop", "lifted", "GoogLeNet", 512, {"R@1": 62.1, "R@10": 79.8}, "A paper", frozenset({"R@10"})),
        PublishedRow("sop", "triplet", "GoogLeNet", None, {"R@1": 42.1}, "A paper"),
    ),
    gallery=None,
    failed=0,
    distance="euclidean",
    interval="95 %",
    clustering="",
    note="",
)


def test_tables_for_people():
    results, differences = result_tables(REPORT)
    assert results.columns == ["metric, %", "a (8)", "b|c (16)"]
    assert results.rows == [["R@1", "25.00  [10.0, 40.0]", "20.00  [10.0, 30.0]"], ["NMI", "50.00", "-"]]
    assert differences.columns == ["difference, points", "b|c - a"]
    assert differences.rows == [["R@1", "-5.00  [-10.00, +1.00]"]]
    assert published_table(REPORT).rows == [
        ["a, measured here", "", "8", "25.00", "-"],
        ["b|c, measured here", "", "16", "20.00", "-"],
        ["lifted [1]", "GoogLeNet", "512", "62.10", "79.80*"],
        ["triplet [1]", "GoogLeNet", "", "42.10", "-"],
    ]
    assert footnotes(REPORT) == {"[1]": "A paper", "*": "quoted by others; not verified in its source"}
    assert footnotes(replace(REPORT, published=())) == {}


def test_facts_in_words():
    assert REPORT.facts() == {
        "queries": "1,234 of 3 classes, each searched among 1,233 others",
        "distance": "euclidean",
        "intervals": "95 %",
    }
    assert replace(REPORT, failed=2).facts()["left out"] == "2 images without an embedding"
    other = replace(REPORT.results[1], queries=9, alone=2)
    assert replace(REPORT, results=(REPORT.results[0], other)).facts()["queries of b|c"] == (
        "9 of 3 classes, each searched among 1,233 others; 2 have no image of their class there"
    )


def test_markdown_is_a_table_whatever_the_names():
    lines = to_markdown(REPORT).splitlines()
    assert lines[0] == r"| metric, % | a (8) | b\|c (16) |"
    assert lines[1] == "| --- | ---: | ---: |"
    assert r"| R@1 | 25.00  \[10.0, 40.0\] | 20.00  \[10.0, 30.0\] |" in lines
    assert "- [1]: A paper" in lines


def test_csv_has_a_line_a_number():
    lines = list(csv.DictReader(io.StringIO(to_csv(REPORT))))
    assert [line["kind"] for line in lines] == ["measured"] * 4 + ["difference"] + ["published"] * 3
    assert {name: value for name, value in lines[0].items() if value} == {
        **{"kind": "measured", "embedding": "a", "dim": "8", "metric": "R@1", "value": "0.25", "low": "0.1"},
        **{"high": "0.4", "queries": "1234", "classes": "3", "gallery": "1233", "distance": "euclidean"},
    }
    assert (lines[1]["value"], lines[1]["low"]) == ("0.5", "")
    assert lines[4]["than"] == "a"
    assert [(line["value"], line["verified"]) for line in lines[5:]] == [
        ("0.621", "True"),
        ("0.798", "False"),
        ("0.421", "True"),
    ]
    assert (lines[-1]["embedding"], lines[-1]["network"], lines[-1]["source"]) == ("triplet", "GoogLeNet", "A paper")


def test_json_has_null_for_what_is_undefined():
    report = json.loads(json.dumps(REPORT.to_json(), allow_nan=False))
    assert report["results"][0]["metrics"]["NMI"] == {"value": 0.5, "low": None, "high": None}
    assert report["published"][0]["unverified"] == ["R@10"]
    assert report["published"][0]["metrics"] == {"R@1": 0.621, "R@10": 0.798}


def test_no_minus_zero():
    tiny = replace(REPORT, differences=(Difference("b", "a", {"R@1": Estimate(-1e-7, -1e-6, 1e-7)}),))
    assert result_tables(tiny)[1].rows == [["R@1", "+0.00  [+0.00, +0.00]"]]
