"""Batches that do not fit into memory: embed them in parts, then again with the gradient of each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluon_lifted.mx import autograd, nd
from gluon_lifted.training.precision import as_float32

if TYPE_CHECKING:
    from collections.abc import Callable


class TwoPasses:
    """Computes what one pass over all images would, with the graph of only a part in memory, for a third more time.

    Parameters
    ----------
    net : EmbeddingNet
        Initialized. From now on its gradients are summed over the parts of a batch.
    size : int
        Images of a part, on each device. Batch norm normalizes each part separately.
    seed : callable
        Seeds dropout for an iteration. Called before each pass, so that both drop the same.

    Notes
    -----
    Gao et al. 2021 ("Scaling deep contrastive learning batch size under memory limited setup"). A loss needs the
    embeddings of all images, but no graph of the network; given its gradient with respect to the embeddings, images
    do not depend on each other.
    """

    def __init__(self, net: Any, size: int, seed: Callable[[int], None]) -> None:
        self.net, self.size, self._seed = net, size, seed
        self._summed = [parameter for parameter in net.collect_params().values() if parameter.grad_req != "null"]
        for parameter in self._summed:
            parameter.grad_req = "add"

    def embed(self, images: list[Any], iteration: int) -> list[Any]:
        """Embed the images of each device, (b, 3, H, W), as training does, without a graph: (b, D) each."""
        self._seed(iteration)
        with autograd.train_mode():
            return [nd.concat(*(as_float32(self.net(part)) for part in self._parts(share)), dim=0) for share in images]

    def backward(self, images: list[Any], gradients: list[Any], iteration: int) -> None:
        """Add up the gradients of the parameters, given those of the embeddings of each device: (b, D) each."""
        for parameter in self._summed:
            parameter.zero_grad()
        self._seed(iteration)
        for share, gradient in zip(images, gradients, strict=True):
            for part, part_gradient in zip(self._parts(share), self._parts(gradient), strict=True):
                with autograd.record():
                    embedding = as_float32(self.net(part))
                embedding.backward(part_gradient)

    def _parts(self, rows: Any) -> list[Any]:
        return [rows[start : start + self.size] for start in range(0, len(rows), self.size)]
