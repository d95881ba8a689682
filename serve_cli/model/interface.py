"""The interface of an exported model: its card, input and output."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY, EMBEDDING_OUTPUT, IMAGE_INPUT, PIXEL_INPUT
from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def read_card(session: Any, model: Path) -> ModelCard:
    """Read the model card in a session's metadata. Raises `RunError` if it is missing or damaged."""
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        raise RunError(
            f"{model}: has no model card, so its preprocessing is unknown. Add a card with "
            f"`lifted card {quote(str(model))} --preprocessing NAME`; `lifted card --help` lists the names."
        )
    return ModelCard.from_json(text, str(model))


def check_interface(session: Any, card: ModelCard, model: Path) -> None:
    """Raise `RunError` unless the session's inputs and outputs match its card: pixels or images in, embeddings out."""
    crop = card.preprocessing.crop
    actual = [_signature(value) for value in (*session.get_inputs(), *session.get_outputs())]
    data: tuple[str, str, tuple[int, ...]] = (IMAGE_INPUT, "tensor(float)", (3, crop, crop))
    if actual[0][0] == PIXEL_INPUT:
        data = (PIXEL_INPUT, "tensor(uint8)", (crop, crop, 3))
    expected = [data, (EMBEDDING_OUTPUT, "tensor(float)", (card.dim,))]
    fits = len(actual) == len(expected) and all(map(_fits, actual, expected))
    if not fits:
        raise RunError(
            f"{model}: inputs and outputs are {', '.join(_describe(signature) for signature in actual)}; the card says "
            f"{', '.join(_describe((name, kind, ('N', *shape))) for name, kind, shape in expected)}. "
            "Export the model again."
        )


def _signature(value: Any) -> tuple[str, str, tuple[int | str | None, ...]]:
    return value.name, value.type, tuple(value.shape)


def _fits(actual: tuple[str, str, tuple[Any, ...]], expected: tuple[str, str, tuple[int, ...]]) -> bool:
    """Compare names, types and fixed sizes. The batch size must be free."""
    (name, kind, shape), (expected_name, expected_kind, sizes) = actual, expected
    if (name, kind, len(shape)) != (expected_name, expected_kind, 1 + len(sizes)):
        return False
    return not isinstance(shape[0], int) and all(
        size == expected_size for size, expected_size in zip(shape[1:], sizes, strict=True) if isinstance(size, int)
    )


def _describe(signature: tuple[str, str, tuple[Any, ...]]) -> str:
    name, kind, shape = signature
    return f"{name!r} {kind} {' x '.join(str(size or '?') for size in shape)}"
