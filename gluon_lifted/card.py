"""The model card: preprocessing and provenance, stored in run folders, ONNX files and embedding files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.images import Preprocessing, preprocessing_from_json
from gluon_lifted.metrics.choices import Distance

# 2: preprocessing with fit and trim; 3: ``normalized``, in US spelling; 4: preprocessing with interpolation, distance
CARD_VERSION = 4
DISTANCES = get_args(Distance)
MAX_DIM = 1 << 20
MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelCard:
    """What a caller must know to use a model, and where the model came from.

    Parameters
    ----------
    name : str
        The run's name.
    backbone : str
        E.g. ``"googlenet"``.
    dim : int
        Width D of the embedding.
    normalized : bool
        Whether embedding rows have unit Euclidean norm. In the paper they do not.
    preprocessing : Preprocessing
        How images become network input.
    dataset, loss : str
        Names of the data set and the loss that the model was trained with.
    provenance : dict of str
        Iterations, seed, date, versions, file hashes. For people; export compares the hash of the
        parameters with their file.
    distance : {"euclidean", "cosine"}
        Distance that the network was trained for. Rank its embeddings by it.
    card_version : int
        Version of the card's layout.
    """

    name: str
    backbone: str
    dim: int
    normalized: bool
    preprocessing: Preprocessing
    dataset: str
    loss: str
    provenance: dict[str, str] = field(default_factory=dict)
    distance: Distance = "euclidean"
    card_version: int = CARD_VERSION

    def to_json(self) -> str:
        """Write the card as indented JSON, which `from_json` reads."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @staticmethod
    def from_json(text: str, where: str) -> ModelCard:
        """Read a card. Raises `RunError` that names ``where`` if the card is damaged or of another version."""
        try:
            values: dict[str, Any] = json.loads(text)
            version = values["card_version"]
            if version != CARD_VERSION:
                raise RunError(
                    f"{where}: the model card has version {version!r}; this release reads version {CARD_VERSION}. Use "
                    "the release that wrote it."
                )
            card = {field.name: values[field.name] for field in fields(ModelCard)}
            card["preprocessing"] = preprocessing_from_json(card["preprocessing"])
            _check_types(card)
            model_card = ModelCard(**card)
            model_card.to_json().encode()  # fails for lone surrogates, which JSON can escape and no file can hold
            return model_card
        except (KeyError, TypeError, ValueError, RecursionError, ConfigError) as error:
            raise RunError(
                f"{where}: the model card is damaged ({type(error).__name__}: {error}). Export the model again."
            ) from None


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a run folder. Raises `RunError` if the file is unreadable, too large or damaged."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CARD_BYTES + 1)
        if len(content) > MAX_CARD_BYTES:
            raise RunError(
                f"{path}: larger than {MAX_CARD_BYTES:,} bytes, so it is not a model card. To write the card again, "
                "repeat `lifted train` with --resume."
            )
        return ModelCard.from_json(content.decode(), str(path))
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise RunError(
            f"{path}: not UTF-8, so it is not a model card. To write the card again, repeat `lifted train` with "
            "--resume."
        ) from None


def _check_types(card: dict[str, Any]) -> None:
    wanted = {"name": str, "backbone": str, "dim": int, "normalized": bool, "dataset": str, "loss": str}
    for name, kind in wanted.items():
        if type(card[name]) is not kind:
            raise TypeError(f"{name} is {card[name]!r:.100}, expected {kind.__name__}")
    if not 1 <= card["dim"] <= MAX_DIM:
        raise ValueError(f"dim is {card['dim']!s:.40}, expected 1 to {MAX_DIM:,}")
    if card["distance"] not in DISTANCES:
        raise ValueError(f"distance is {card['distance']!r:.100}, expected {' or '.join(DISTANCES)}")
    provenance = card["provenance"]
    if not isinstance(provenance, dict) or not all(isinstance(value, str) for value in provenance.values()):
        raise TypeError(f"provenance is {provenance!r:.100}, expected a JSON object of strings")
