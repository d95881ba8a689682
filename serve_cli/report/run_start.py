"""Read what a training run recorded before its first batch: the classes that it trained on, and recall at its start."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gluon_lifted.card import read_card
from gluon_lifted.contract import CARD_FILE, MAX_START_BYTES, START_FILE
from gluon_lifted.datasets.image_digest import image_digest
from gluon_lifted.errors import RunError
from gluon_lifted.metrics.recall_comparison import recall_from_json

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.card import ModelCard
    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.embeddings.reader import Embeddings

WEIGHTS_HASH, KEPT_ITERATION = "params sha256", "weights of iteration"  # of a card's provenance


@dataclass(frozen=True)
class RunStart:
    """The start of a run.

    Parameters
    ----------
    images : int
        Number of images that recall was measured on.
    kind : str
        ``"validation"`` or ``"test"``.
    training_classes, measured_classes : frozenset of str
        Names of the classes that the run trained on, none if it kept the weights that it started from, and of the
        classes that recall was measured on.
    measured_images : str or None
        The `image_digest` of the images that it was measured on; None in runs of older versions.
    recall : dict
        Name of an embedding, such as ``"raw pixels"`` -> k -> recall@k before training, with its interval.
    """

    images: int
    kind: str
    training_classes: frozenset[str]
    measured_classes: frozenset[str]
    measured_images: str | None
    recall: dict[str, dict[int, Estimate]]

    def measured_same_images(self, embeddings: Embeddings) -> bool:
        """Return whether recall was measured on the same images of the same classes."""
        return self.measured_images == image_digest(embeddings.paths, embeddings.label_names)


def read_run_start(run: Path, embeddings: Embeddings) -> RunStart:
    """Read the start of the run that trained the model of these embeddings.

    Raises
    ------
    RunError
        If the folder is not a finished run, its start is damaged, or it trained other weights.
    """
    card = _card_of_same_weights(run, embeddings)
    path = run / START_FILE
    try:
        if path.stat().st_size > MAX_START_BYTES:
            raise ValueError(f"more than {MAX_START_BYTES:,} bytes")
        start = _parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); give --run a folder of `lifted train`.") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: is damaged ({error!r:.200}); leave out --run.") from None
    untrained = card.provenance.get(KEPT_ITERATION) == "0"
    return replace(start, training_classes=frozenset()) if untrained else start


def _card_of_same_weights(run: Path, embeddings: Embeddings) -> ModelCard:
    if not (run / CARD_FILE).is_file():
        state = f"has no {CARD_FILE}" if run.is_dir() else "no such folder"
        raise RunError(f"{run}: {state}; give --run the folder of a finished `lifted train`.")
    card = read_card(run / CARD_FILE)
    trained = card.provenance.get(WEIGHTS_HASH)
    used = embeddings.card.provenance.get(WEIGHTS_HASH)
    if trained is None or trained != used:
        raise RunError(
            f"{run}: its weights are not those of {embeddings.name} ({WEIGHTS_HASH} {trained!s:.12}, expected "
            f"{used!s:.12}); give --run the run folder that trained this model."
        )
    return card


def _parse(values: dict[str, Any]) -> RunStart:
    training, measured = values["training_classes"], values["measured_classes"]
    if not all(isinstance(name, str) for name in (*training, *measured)):
        raise TypeError("class names are not strings")
    recall = {str(entry["name"]): recall_from_json(entry["recall"]) for entry in values["embeddings"]}
    for estimates in recall.values():
        if not all(0 <= estimate.value <= 1 for estimate in estimates.values()) or 1 not in estimates:
            raise ValueError("recall is not between 0 and 1")
    return RunStart(
        images=int(values["images"]),
        kind=str(values["kind"]),
        training_classes=frozenset(training),
        measured_classes=frozenset(measured),
        measured_images=values.get("measured_images"),
        recall=recall,
    )
