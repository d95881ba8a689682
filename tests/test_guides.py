"""Python of the guides and the reference, as it stands there, on a tiny model and its embeddings."""

import pytest

from tests.documents import ROOT, blocks
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import write_model

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

EMBEDDERS = [ROOT / "docs/precision.md", ROOT / "docs/reference/python.md"]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    write_model(tmp_path / "model.onnx")
    write_folder(tmp_path / "embeddings", batches(40))
    for number, name in enumerate(("a.jpg", "b.jpg")):
        photo(tmp_path / name, seed=number)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("document", EMBEDDERS, ids=lambda path: path.stem)
def test_embedders_embed(document):
    (code,) = (code for code in blocks(document, "python") if "embed_files" in code)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["embeddings"].shape[0] == 2


def test_evaluation_scores_every_row():
    (code,) = blocks(ROOT / "docs/evaluation.md", "python")
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["scores"].first_rank) == 40
