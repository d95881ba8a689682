import hashlib

import pytest

from gluon_lifted.errors import RunError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.inspection import inspect_path
from tests.serve_cli.tiny_model import CARD


def test_model(model):
    inspection = inspect_path(model)
    assert (inspection.kind, inspection.card) == ("model", CARD)
    assert inspection.about == {
        "input 'data'": "tensor(float), N x 3 x 16 x 16",
        "output 'embedding'": "tensor(float), N x 8",
        "bytes": model.stat().st_size,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }


def test_embeddings(tmp_path, model, album):
    (album / "cat" / "bad.jpg").write_bytes(b"")
    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    inspection = inspect_path(tmp_path / "emb")
    assert (inspection.kind, inspection.card) == ("embeddings", CARD)
    assert (inspection.about["rows"], inspection.about["failed"], inspection.about["parts"]) == (13, 1, 1)
    assert inspection.about["source"] == str(album)


def test_index(tmp_path, model, album):
    pytest.importorskip("faiss", reason="faiss is not installed")
    from serve_cli.retrieval.index.build import build_index
    from serve_cli.retrieval.index.update import delete_rows

    embed_images(EmbedOptions(model=model, source=album, out=tmp_path / "emb"))
    build_index(tmp_path / "emb", tmp_path / "index")
    rows = inspect_path(tmp_path / "index").about["rows"]
    delete_rows(tmp_path / "index", ["cat/0.jpg"])
    inspection = inspect_path(tmp_path / "index")
    assert (inspection.kind, inspection.card) == ("index", CARD)
    assert (inspection.about["rows"], inspection.about["kind"]) == (rows - 1, "exact")
    assert inspection.about["deleted, still on disk"] == 1
    assert inspection.about["embeddings"] == str(tmp_path / "emb")
    assert inspection.facts()["holds"] == "an index"


def test_run(tmp_path):
    (tmp_path / "card.json").write_text(CARD.to_json())
    (tmp_path / "model-symbol.json").write_text("{}")
    inspection = inspect_path(tmp_path)
    assert (inspection.kind, inspection.card) == ("run", CARD)
    assert inspection.about["model-symbol.json"] == 2
    assert inspection.about["reference.npz"] == "missing"


def test_facts_name_the_preprocessing_and_the_origin(model):
    facts = inspect_path(model).facts()
    assert facts["images"] == "stretched to 20 x 20 px (bilinear), center 16 x 16, RGB"
    assert facts["mean, std"] == "123.675 116.28 103.53, 58.395 57.12 57.375"
    assert facts["embedding"] == "8 numbers, not normalized"
    assert facts["iterations"] == "0"


def test_nothing_that_is_known(tmp_path):
    with pytest.raises(RunError, match="no such file or folder"):
        inspect_path(tmp_path / "none")
    with pytest.raises(RunError, match="is an empty folder; expected an ONNX model"):
        inspect_path(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "is damaged"),
        (CARD.to_json().encode() + b" " * (2 << 20), "larger than"),
    ],
)
def test_damaged_card(tmp_path, content, message):
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(RunError, match=rf"card\.json: .*{message}"):
        inspect_path(tmp_path)


def test_unfinished_embeddings(tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(RunError, match=r"is unfinished \(no manifest\.json\); repeat the command of `lifted embed`"):
        inspect_path(tmp_path)
