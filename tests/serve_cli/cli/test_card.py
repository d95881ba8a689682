"""`lifted card`: an ONNX file of others, from its card to embeddings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="changing a card needs onnx")

from gluon_lifted.card import ModelCard
from gluon_lifted.images import Preprocessing, center_crop, read_image
from serve_cli import Embedder, read_embeddings
from serve_cli.inspection import inspect_path
from tests.export.foreign_models import SIDE, Foreign
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from pathlib import Path


def in_one_line(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return Foreign(batch=1).write(tmp_path / "theirs.onnx")


def test_a_file_of_others_embeds_as_any_other(tmp_path, lifted, theirs, album):
    before = theirs.read_bytes()
    status, out, _ = lifted(
        "card", theirs, "--preprocessing", "imagenet", "--resize", 16, "--name", "r50", "--out", tmp_path / "m.onnx"
    )
    assert status == 0
    assert "m.onnx PHOTOS --out embeddings" in in_one_line(out)
    assert theirs.read_bytes() == before
    how = Preprocessing(resize=16, crop=SIDE, fit="cover")
    card = ModelCard("r50", "unknown", 8, False, how, "unknown", "unknown", {"onnx": "theirs.onnx"})
    assert inspect_path(tmp_path / "m.onnx").card == card
    assert lifted("embed", tmp_path / "m.onnx", album, "--out", tmp_path / "emb")[0] == 0
    written = read_embeddings(tmp_path / "emb")
    pixels = np.stack([center_crop(read_image(path, how), SIDE) for path in written.paths])
    data = ((pixels - np.array(how.mean)) / how.std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(written.embedding, Foreign().rows(data), atol=1e-5)
    assert lifted("eval", tmp_path / "emb", "--k", "1")[0] == 0
    with Embedder(tmp_path / "m.onnx") as embedder:
        np.testing.assert_allclose(embedder.embed_files(written.paths), written.embedding, atol=1e-6)


def test_in_place_and_from_a_card(tmp_path, lifted, theirs):
    _, first, _ = lifted("card", theirs, "--mean", "127.5", "--std", "127.5", "--normalize", "--json")
    assert json.loads(first) == json.loads(lifted("card", theirs, "--json")[1])
    card = ModelCard.from_json(first, "stdout")
    assert (card.normalized, card.preprocessing.mean, card.preprocessing.fit) == (True, (127.5,) * 3, "stretch")
    corrected = replace(card, dataset="flowers", preprocessing=replace(card.preprocessing, trim=True))
    (tmp_path / "card.json").write_text(corrected.to_json())
    assert lifted("card", theirs, "--card", tmp_path / "card.json")[0] == 0
    assert inspect_path(theirs).card == corrected
    assert lifted("card", theirs, "--fit", "pad", "--resize", 20)[0] == 0
    expected = replace(corrected, preprocessing=replace(corrected.preprocessing, fit="pad", resize=20))
    assert inspect_path(theirs).card == expected
    shown = in_one_line(lifted("card", theirs)[1])
    assert "padded" in shown
    assert "flowers" in shown


@pytest.mark.parametrize(
    ("given", "stays"),
    [
        (("--mean", "1"), "card: std stays 64,64,64, from the old card; to change it as well, give --std."),
        (("--std", "2"), "card: mean stays 127.5,127.5,127.5, from the old card; to change it as well, give --mean."),
        (("--mean", "1", "--std", "2"), ""),
        (("--mean", "1", "--scale", "2"), ""),
        (("--resize", "20"), ""),
    ],
)
def test_one_of_mean_and_std_says_what_the_other_one_is(lifted, theirs, given, stays):
    assert lifted("card", theirs, "--mean", "127.5", "--std", "64")[0] == 0
    status, _, err = lifted("card", theirs, *given)
    assert status == 0
    assert err.strip() == stays


def test_a_file_that_is_no_card(lifted, theirs, tmp_path):
    (tmp_path / "config.json").write_text('{"dim": 64}')
    status, _, err = lifted("card", theirs, "--card", tmp_path / "config.json")
    assert (status, "--card expects the JSON that `lifted card MODEL.onnx --json` prints." in err) == (1, True)


def test_sizes_left_open(lifted, tmp_path):
    path = Foreign(side="s").write(tmp_path / "open.onnx")
    status, _, err = lifted("card", path, "--preprocessing", "raw")
    assert status == 2
    assert "takes images of any size; choose a size with --crop" in in_one_line(err)
    assert lifted("card", path, "--preprocessing", "raw", "--crop", SIDE)[0] == 0
    assert inspect_path(path).card.preprocessing.crop == SIDE


def test_a_tensor_inside(lifted, tmp_path):
    path = Foreign(more_outputs=True).write(tmp_path / "two.onnx")
    status, _, err = lifted("card", path, "--preprocessing", "raw")
    assert (status, "choose one with --output" in err) == (1, True)
    assert lifted("card", path, "--preprocessing", "raw", "--output", "pooled")[0] == 0
    assert inspect_path(path).card.dim == 6


def test_a_model_of_ours(lifted, model, tmp_path):
    assert json.loads(lifted("card", model, "--json")[1]) == json.loads(CARD.to_json())
    assert lifted("card", model, "--name", "mine", "--out", tmp_path / "mine.onnx")[0] == 0
    assert inspect_path(tmp_path / "mine.onnx").card == replace(CARD, name="mine")
    with Embedder(model) as before, Embedder(tmp_path / "mine.onnx") as after:
        pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
        assert before.embed(pixels).tobytes() == after.embed(pixels).tobytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 1, "has no model card, so its preprocessing is unknown. Add a card with `lifted card"),
        (("--name", "x"), 2, "has no card yet; give the preprocessing of its images: --preprocessing"),
        (("--mean", "1"), 2, "the card needs --preprocessing, or --mean with --std or --scale"),
        (("--card", "card.json", "--scale", "2", "--fit", "pad"), 2, "leave out --fit, --scale"),
        (("--card", "card.json", "--crop", "12"), 2, "--card describes the preprocessing; leave out --crop"),
        (("--card", "card.json"), 1, "takes images of 12 px, but the card's crop is 16"),
        (("--card", "none.json"), 1, "none.json: cannot be read"),
        (("--out", "other.onnx"), 2, "--out needs a change to the card"),
        (("--preprocessing", "raw", "--crop", "10"), 1, "takes images of 12 px, but the card's crop is 10"),
        (("--preprocessing", "raw", "--out", "."), 1, ".: is a folder; expected the path of the ONNX file to write"),
    ],
)
def test_what_does_not_fit(lifted, theirs, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "card.json").write_text(CARD.to_json())
    before = theirs.read_bytes()
    ended, out, err = lifted("card", theirs, *arguments)
    assert (ended, out) == (status, "")
    assert message in in_one_line(err)
    assert theirs.read_bytes() == before


def test_a_damaged_card(lifted, theirs):
    model = onnx.load(theirs)
    onnx.helper.set_model_props(model, {"lifted.card": "{}"})
    theirs.write_bytes(model.SerializeToString())
    status, _, err = lifted("card", theirs, "--name", "x")
    assert (status, "the model card is damaged" in err) == (1, True)
    assert lifted("card", theirs, "--preprocessing", "raw")[0] == 0
    assert inspect_path(theirs).card.dim == 8


def test_a_missing_file(lifted, tmp_path):
    for more in ((), ("--preprocessing", "raw")):
        status, _, err = lifted("card", tmp_path / "none.onnx", *more)
        assert (status, "none.onnx" in err) == (1, True)
