"""Turn a network trained elsewhere into a model that embeds images, with one output and a model card."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from export.errors import MalformedModelError
from export.graph.shape import N
from gluon_lifted.card import ModelCard
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from export.graph.shape import BatchShape, Shape
    from export.reader.symbol import Symbol
    from gluon_lifted.images import Preprocessing

UNKNOWN = "unknown"  # data set and loss of a network from elsewhere


@dataclass(frozen=True, kw_only=True)
class EmbeddingNetwork:
    """Facts about a network that its files do not contain.

    Parameters
    ----------
    preprocessing : Preprocessing
        How images become network input. The crop is the height and width of the input.
    name : str
        The model's name.
    pixels : bool
        Put the normalization into the file: input ``images``, uint8 (N, H, W, 3) RGB.
    normalize : bool
        Give embeddings unit length in the file.
    described : ModelCard, optional
        Gives backbone, data set, loss and provenance. The network must have its ``dim``, and unit length if it says so.
    """

    preprocessing: Preprocessing
    name: str
    pixels: bool = False
    normalize: bool = False
    described: ModelCard | None = None

    def card(self, row: Shape, where: str, *, unit_length: bool, provenance: dict[str, str]) -> ModelCard:
        """Describe the network.

        Parameters
        ----------
        row : tuple of int
            Shape of the output for an image.
        where : str
            The file, for errors.
        unit_length : bool
            Whether the network itself gives embeddings unit length.
        provenance : dict of str
            What to add to the provenance of ``described``.

        Raises
        ------
        MalformedModelError
            If an output row is not a vector.
        ConfigError
            If ``described`` is about another network.
        """
        if not is_vector(row):
            raise MalformedModelError(
                f"{where}: the output for one image has the shape {row}; expected (D,) or (D, 1, 1). Choose another "
                "node with --output."
            )
        dim, normalized, described = math.prod(row), self.normalize or unit_length, self.described
        if described is None:
            return ModelCard(self.name, UNKNOWN, dim, normalized, self.preprocessing, UNKNOWN, UNKNOWN, provenance)
        if described.dim != dim:
            raise ConfigError(
                f"{where}: the network computes {dim} numbers per image, but the card says dim {described.dim}. Choose "
                "another output with --output, or correct the card."
            )
        if described.normalized and not normalized:
            raise ConfigError(
                f"{where}: the card says that embeddings have unit length, but the network's do not. Add --normalize, "
                "or correct the card."
            )
        return replace(
            described,
            name=self.name,
            normalized=normalized,
            preprocessing=self.preprocessing,
            provenance={**described.provenance, **provenance},
        )


def require_one_output(symbol: Symbol, where: str) -> None:
    """Raise `MalformedModelError` if the network has several outputs and none was chosen."""
    if len(symbol.heads) > 1:
        names = ", ".join(symbol.nodes[head.node].name for head in symbol.heads)
        raise MalformedModelError(f"{where}: has {len(symbol.heads)} outputs ({names}). Choose one with --output.")


def require_one_image(shapes: Mapping[str, BatchShape], crop: int) -> Mapping[str, BatchShape]:
    """Raise `ConfigError` unless the only input is square images of ``crop`` px with three channels."""
    if [*shapes.values()] != [(N, 3, crop, crop)]:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ConfigError(
            f"the network's input is {listed}; a model card needs one input of images, {(N, 3, crop, crop)}. Correct "
            "--shape or --crop, or export without --preprocessing and --card."
        )
    return shapes


def is_vector(row: Shape) -> bool:
    """Whether an output row is (D,) or (D, 1, 1)."""
    return len(row) == 1 or (len(row) == 3 and row[1:] == (1, 1))


def ends_in_unit_length(symbol: Symbol) -> bool:
    """Whether the network's last operator gives each row unit length: ``L2Normalization`` of whole rows."""
    (head,) = symbol.heads
    node = symbol.nodes[head.node]
    return node.op == "L2Normalization" and node.attrs.get("mode", "instance") == "instance"
