import json

import numpy as np
import pytest

from gluon_lifted.errors import RunError
from gluon_lifted.logs import recall_files
from gluon_lifted.logs.recall_files import (
    read_baselines,
    read_start,
    write_recall,
)
from gluon_lifted.metrics.recall_comparison import (
    RecallComparison,
    measure_recall,
)

LABELS = np.array([0, 0, 1, 1])


@pytest.fixture
def start():
    rows = np.array([[0.0], [1.0], [5.0], [2.0]], np.float32)
    return RecallComparison("test", LABELS, measure_recall("raw pixels", rows, LABELS))


def test_a_start_is_read_back(tmp_path, start):
    write_recall(tmp_path / "start.json", start.to_json_with_hits())
    assert read_start(tmp_path, LABELS).to_json_with_hits() == start.to_json_with_hits()
    assert read_start(tmp_path, LABELS[:3]) is None
    assert read_baselines(tmp_path) == ("4 images, 2 classes", {"raw pixels": 0.75})


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"embeddings": [{"name": "a", "recall": {}}]}', "[" * 100_000])
def test_damaged_files_are_as_none(tmp_path, text):
    (tmp_path / "start.json").write_text(text)
    assert read_start(tmp_path, LABELS) is None
    assert read_baselines(tmp_path) == ("", {})


def test_values_that_cannot_be_drawn_are_left_out(tmp_path, start):
    values = start.to_json()
    values["embeddings"][0]["recall"]["1"]["value"] = 1e300
    write_recall(tmp_path / "start.json", values)
    assert read_baselines(tmp_path).recall == {}


def test_a_file_larger_than_any_written_is_not_read(tmp_path, start, monkeypatch):
    path = tmp_path / "start.json"
    path.write_text(json.dumps(start.to_json_with_hits()))
    monkeypatch.setattr(recall_files, "MAX_START_BYTES", path.stat().st_size - 1)
    assert read_start(tmp_path, LABELS) is None


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(RunError, match=r"start\.json: cannot be written"):
        write_recall(tmp_path / "none" / "start.json", {})
