import json

import pytest

from gluon_lifted.card import CARD_VERSION, ModelCard
from gluon_lifted.errors import RunError
from gluon_lifted.images import Preprocessing

CARD = ModelCard(
    name="größe",
    backbone="googlenet",
    dim=512,
    normalized=False,
    preprocessing=Preprocessing(resize=72, crop=64, channels="BGR", mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0)),
    dataset="cars196",
    loss="lifted structure, margin 1",
    provenance={"seed": "0", "iterations": "20000"},
    distance="cosine",
)


def test_card_survives_the_round_trip():
    assert ModelCard.from_json(CARD.to_json(), "here") == CARD
    again = ModelCard.from_json(CARD.to_json(), "here").to_json()
    assert again == CARD.to_json()


def test_json_is_readable_by_anyone():
    actual = json.loads(CARD.to_json())
    assert actual["dim"] == 512
    assert actual["preprocessing"]["mean"] == [104.0, 117.0, 123.0]
    assert actual["card_version"] == CARD_VERSION


def test_unknown_fields_of_a_later_release_are_passed_over():
    assert ModelCard.from_json(json.dumps({**json.loads(CARD.to_json()), "color": "red"}), "here") == CARD


def test_other_version_is_refused_as_such():
    text = json.dumps({**json.loads(CARD.to_json()), "card_version": CARD_VERSION + 1})
    with pytest.raises(
        RunError,
        match=r"model\.onnx: the model card has version \d; this release reads version \d\. Use",
    ):
        ModelCard.from_json(text, "model.onnx")


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", '"card"', "{}", "[" * 100_000])
def test_text_that_is_no_card(text):
    with pytest.raises(RunError, match=r"model\.onnx: the model card is damaged"):
        ModelCard.from_json(text, "model.onnx")


@pytest.mark.parametrize("missing", json.loads(CARD.to_json()))
def test_field_that_is_missing(missing):
    fields = json.loads(CARD.to_json())
    del fields[missing]
    with pytest.raises(RunError, match=rf"damaged .*{missing}"):
        ModelCard.from_json(json.dumps(fields), "here")


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 0},
        {"dim": "512"},
        {"dim": 512.5},
        {"dim": True},
        {"normalized": "false"},
        {"name": None},
        {"loss": 3},
        {"distance": "manhattan"},
        {"distance": ["cosine"]},
        {"distance": None},
        {"provenance": ["seed"]},
        {"provenance": {"seed": 0}},
        {"preprocessing": None},
        {"preprocessing": {}},
        {"preprocessing": {**json.loads(CARD.to_json())["preprocessing"], "crop": 100}},
        {"preprocessing": {**json.loads(CARD.to_json())["preprocessing"], "std": [float("nan")] * 3}},
    ],
)
def test_field_of_another_kind(change):
    text = json.dumps({**json.loads(CARD.to_json()), **change})
    with pytest.raises(RunError, match="here: the model card is damaged"):
        ModelCard.from_json(text, "here")
