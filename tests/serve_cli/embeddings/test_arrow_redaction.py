from __future__ import annotations

import pyarrow as pa
import pytest

from serve_cli.embeddings.arrow_redaction import column_without_credentials

URL, CLEAN = "https://me:hunter2@host/a.jpg?id=7&X-Amz-Signature=hunter2", "https://host/a.jpg?id=7"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([URL, None, "plain", ""], pa.string()),
        ([f"see {URL}"], pa.large_string()),
        ([URL, URL, None], pa.dictionary(pa.int32(), pa.string())),
        ([[URL, "x"], None, []], pa.list_(pa.string())),
        ([[URL, "x"], None], pa.list_(pa.string(), 2)),
        ([{"url": URL, "size": 3}, None], pa.struct([("url", pa.string()), ("size", pa.int8())])),
        ([[("key", URL)], None], pa.map_(pa.string(), pa.string())),
        ([[{"a": [URL]}]], pa.list_(pa.struct([("a", pa.list_(pa.string()))]))),
    ],
)
def test_credentials_are_cut_wherever_text_is(values: list[object], kind: pa.DataType) -> None:
    cleaned = column_without_credentials(pa.chunked_array([pa.array(values, kind), pa.array(values, kind)]))
    assert cleaned.type == kind
    assert repr(cleaned.to_pylist()) == repr(values * 2).replace(URL, CLEAN)


def test_other_columns_come_back_as_they_are() -> None:
    far = pa.array([2**62], pa.int64()).cast(pa.timestamp("ms"))  # Python has no object for it
    nested = pa.StructArray.from_arrays([far, pa.array(["https://host/a.jpg?id=7"])], ["when", "url"])
    column = pa.chunked_array([nested])
    assert column_without_credentials(column).equals(column)


def test_text_that_is_not_utf8() -> None:
    broken = pa.array([b"\xff https://me:hunter2@host/a"], pa.binary()).cast(pa.string(), safe=False).view(pa.string())
    cleaned = column_without_credentials(pa.chunked_array([broken]))
    assert cleaned.cast(pa.binary()).to_pylist() == [b"\xff https://host/a"]
