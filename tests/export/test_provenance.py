from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from export import add_provenance
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from tests.export.mxnet_files import card

if TYPE_CHECKING:
    from pathlib import Path


def test_facts_are_added_to_the_card(tmp_path: Path) -> None:
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {CARD_KEY: card(8, 4).to_json(), "other": "stays"})
    onnx.save(model, tmp_path / "model.onnx")
    add_provenance(str(tmp_path / "model.onnx"), tmp_path / "copy.onnx", {"speed": "fast"})
    metadata = {prop.key: prop.value for prop in onnx.load(tmp_path / "copy.onnx").metadata_props}
    assert metadata["other"] == "stays"
    assert ModelCard.from_json(metadata[CARD_KEY], "copy").provenance == card(8, 4).provenance | {"speed": "fast"}
