from __future__ import annotations

from dataclasses import replace

import pytest

from gluon_lifted.errors import ConfigError
from serve_cli.compress.acceptance import AcceptanceCriteria
from serve_cli.compress.comparison import PrecisionComparison

COMPARISON = PrecisionComparison(1_000_000, 4_000_000, 0.98, 0.999, 300.0, 100.0)


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({}, ""),
        ({"recall": 0.700, "single_recall": 0.704}, ""),
        ({"recall": 0.750, "single_recall": 0.704}, ""),
        (
            {"recall": 0.698, "single_recall": 0.704},
            "loses 0.60 points of recall@1 (69.80% instead of 70.40%), more than the 0.5 that --max-recall-drop allows",
        ),
        ({"images_per_s": 99.0}, "is not faster than fp32 here: 99 images/s instead of 100"),
        ({"images_per_s": 100.0}, "is not faster than fp32 here: 100 images/s instead of 100"),
    ],
)
def test_objections(changes: dict[str, float], objection: str) -> None:
    assert AcceptanceCriteria().objection(replace(COMPARISON, **changes)) == objection


def test_the_limit_is_the_callers() -> None:
    loss = replace(COMPARISON, recall=0.698, single_recall=0.704)
    assert AcceptanceCriteria(max_recall_drop=0.7).objection(loss) == ""


def test_a_data_set_needs_its_folder() -> None:
    with pytest.raises(ConfigError, match="give --eval and --data together"):
        AcceptanceCriteria(dataset="folder")
