"""EmbeddingNet: backbone, dropout, embedding layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluon_lifted.mx import HybridBlock, mx, nd, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DROPOUT = 0.4  # drop7 of the authors' train_val_*.prototxt: dropout_ratio


class EmbeddingNet(HybridBlock):
    """Images (N, 3, H, W) -> embedding (N, D). Song et al. 2016 do not normalize it.

    Parameters
    ----------
    backbone : HybridBlock
        Images -> (N, C, 1, 1) or (N, C).
    dim : int
        D, width of the embedding; 64 to 512 in the paper.
    dropout : float
        Share of the backbone's outputs dropped in training.
    normalize : bool
        Scale each row to unit Euclidean norm. A row of zeros stays near zero.
    mean_residual : ndarray, float32, (1, 3, H, W), optional
        Subtracted from every image (`gluon_lifted.networks.mean_image`). Fixes the image size to H x W.

    Notes
    -----
    The embedding layer is initialized with Caffe's ``xavier``, U(-sqrt(3 / C), sqrt(3 / C)).
    """

    def __init__(
        self,
        backbone: Any,
        dim: int,
        dropout: float = DROPOUT,
        *,
        normalize: bool = False,
        mean_residual: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(prefix="")
        self.normalize = normalize
        with self.name_scope():
            self.backbone = backbone
            self.dropout = nn.Dropout(dropout, prefix="dropout_")
            # Xavier over fan-in with magnitude 3 is U(-sqrt(3 / fan_in), ...): Caffe's filler.hpp
            xavier = mx.init.Xavier(rnd_type="uniform", factor_type="in", magnitude=3)
            if mean_residual is not None:
                self.mean_residual = self.params.get_constant("mean_residual", mean_residual)
            self.embedding = nn.Dense(dim, weight_initializer=xavier, prefix="embedding_")

    def hybrid_forward(self, F: Any, x: Any, mean_residual: Any = None) -> Any:
        """Embed images ``x`` (N, 3, H, W): (N, D)."""
        if mean_residual is not None:
            x = F.broadcast_sub(x, mean_residual)
        return self._embed(F, self.backbone(x))  # the backbone gives (N, C, 1, 1)

    def _embed(self, F: Any, pooled: Any) -> Any:
        x = self.embedding(self.dropout(pooled))  # (N, D)
        return F.L2Normalization(x, mode="instance", name="normalized") if self.normalize else x

    def pool(self, images: Any) -> Any:
        """Compute the features that the embedding layer reads, outside of a graph: images (N, 3, H, W) -> (N, C)."""
        if "mean_residual" in self._reg_params:
            images = images - self.mean_residual.data(images.context)
        return self.backbone(images).flatten()

    def pool_and_embed(self, images: Any) -> tuple[Any, Any]:
        """Compute the pooled features (N, C) and the embedding (N, D) of images (N, 3, H, W) in one pass."""
        pooled = self.pool(images)
        return pooled, self._embed(nd, pooled)

    def set_embedding_layer(self, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        """Set the embedding layer: weight (D, C) and bias (D,)."""
        for parameter, values in ((self.embedding.weight, weight), (self.embedding.bias, bias)):
            parameter.set_data(nd.array(values, dtype=parameter.dtype))

    def set_learning_rates(self, embedding_mult: float, bias_mult: float) -> None:
        """Set the learning-rate multipliers of the embedding layer and of biases.

        The embedding layer's bias gets the product of both. Biases do not decay. The authors' train_val has lr_mult
        1 and 2 (weights and biases), 10 and 20 in the embedding layer, and decay_mult 1 and 0. Batch norm's gamma and
        beta do not decay either (Goyal et al. 2017, section 5.3, and He et al. 2019, "Bag of tricks", section 3.1).
        """
        for name, parameter in self.collect_params().items():
            parameter.lr_mult = embedding_mult if name.startswith(self.embedding.prefix) else 1.0
            if name.endswith("bias"):
                parameter.lr_mult *= bias_mult
                parameter.wd_mult = 0.0
            elif name.endswith(("gamma", "beta")):
                parameter.wd_mult = 0.0
