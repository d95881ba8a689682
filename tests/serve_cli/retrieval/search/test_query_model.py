"""Only the model that embedded a catalog embeds queries."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from gluon_lifted.errors import RunError
from gluon_lifted.images import Preprocessing
from serve_cli.retrieval.search.query_model import open_query_model, require_same_model
from tests.serve_cli.tiny_model import CARD, write_model

HASH = "ab" * 32


@pytest.fixture
def index(tmp_path):
    return SimpleNamespace(path="shop.index", card=CARD, model=tmp_path / "tiny.onnx", model_sha256=HASH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 9}, "emb: dim is 9, and 8 in shop.index; embed queries with the model"),
        ({"distance": "cosine"}, "distance is cosine, and euclidean in shop.index"),
        ({"normalized": True}, "normalized is True"),
        ({"preprocessing": Preprocessing(resize=21, crop=16)}, "preprocessing is .*resize=21"),
    ],
)
def test_another_card_is_refused(index, change, message):
    with pytest.raises(RunError, match=message):
        require_same_model(index, "emb", replace(CARD, **change), HASH)


def test_another_hash_is_refused(index):
    require_same_model(index, "emb", replace(CARD, name="renamed"), HASH)
    with pytest.raises(RunError, match=r"SHA-256 is cdcdcdcdcdcd…, and abababababab… in shop.index"):
        require_same_model(index, "emb", CARD, "cd" * 32)


def test_without_a_hash_only_cards_are_compared(index, caplog):
    require_same_model(index, "emb", CARD, None)
    assert "only the model cards were compared" in caplog.text


def test_a_missing_model(index):
    with pytest.raises(RunError, match=r"tiny.onnx: no such file, but shop.index names it as its model; give --model"):
        open_query_model(index)
    index.model = None
    with pytest.raises(RunError, match="does not name its model"):
        open_query_model(index)


def test_another_model_is_closed_and_refused(index, tmp_path):
    pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")
    other = write_model(tmp_path / "other.onnx")
    with pytest.raises(RunError, match="SHA-256"):
        open_query_model(index, other)
