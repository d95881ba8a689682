from pathlib import Path

import pytest

from serve_cli.retrieval.index.layout import IndexManifest, SegmentRecord
from serve_cli.retrieval.index.rebuild_advice import rebuild_advice
from tests.serve_cli.tiny_model import CARD


@pytest.mark.parametrize(
    ("kind", "built", "added", "deleted", "advice"),
    [
        ("exact", 100, 900, 200, None),
        ("exact", 100, 900, 201, "20% of its rows are deleted"),
        ("exact", 50_000, 10_000, 9_000, "grown to 51,000 rows"),
        ("exact", 60_000, 10_000, 0, None),  # its owner chose an exact index
        ("IVF4,Flat", 700, 300, 200, None),
        ("IVF4,Flat", 699, 301, 200, "30% of its rows were added"),
        ("IVF4,Flat", 699, 301, 250, "25% of its rows are deleted and still take time and 30% of its rows were"),
    ],
)
def test_advice(kind, built, added, deleted, advice):
    segments = (SegmentRecord("segment-000001", built, "a"), SegmentRecord("segment-000002", added, "b", added=True))
    manifest = IndexManifest(CARD, None, None, kind, segments=segments, deleted=deleted)
    sentence = rebuild_advice(Path("my index"), manifest)
    assert (sentence is None) == (advice is None)
    assert advice is None or advice in sentence
