"""EmbeddingNet: backbone, dropout, embedding layer."""

from __future__ import annotations

from typing import Any

from gluon_lifted.mx import HybridBlock, mx, nn

DROPOUT = 0.4  # drop7 of train_val_*.prototxt: dropout_ratio
WEIGHT_LR_MULT, BIAS_LR_MULT = 10.0, 20.0  # fc_embedding: lr_mult of weights and biases, same file
BIAS_LR_MULT_BACKBONE = 2.0  # every convolution: lr_mult 1 and 2, same file


class EmbeddingNet(HybridBlock):
    """Images (N, 3, H, W) -> embedding (N, D), not normalised, as in Song et al. 2016.

    Parameters
    ----------
    backbone : HybridBlock
        Images -> (N, C, 1, 1) or (N, C).
    dim : int
        D, the width of the embedding; 64 to 512 in the paper.
    dropout : float
        Share of the backbone's outputs dropped in training.

    Notes
    -----
    The embedding layer is drawn from Caffe's ``xavier``, U(-sqrt(3 / C), sqrt(3 / C)), and learns 10 (weights)
    and 20 (biases) times as fast as the backbone; no bias decays.
    """

    def __init__(self, backbone: Any, dim: int, dropout: float = DROPOUT) -> None:
        super().__init__(prefix="")
        with self.name_scope():
            self.backbone = backbone
            self.dropout = nn.Dropout(dropout, prefix="dropout_")
            # Xavier over fan-in with magnitude 3 is U(-sqrt(3 / fan_in), ...): Caffe's filler.hpp
            xavier = mx.init.Xavier(rnd_type="uniform", factor_type="in", magnitude=3)
            self.embedding = nn.Dense(dim, weight_initializer=xavier, prefix="embedding_")
        self.embedding.weight.lr_mult = WEIGHT_LR_MULT
        for name, parameter in self.collect_params().items():
            if name.endswith("bias"):
                parameter.wd_mult = 0.0
                parameter.lr_mult = BIAS_LR_MULT_BACKBONE
        self.embedding.bias.lr_mult = BIAS_LR_MULT

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        x = self.backbone(x)  # (N, C, 1, 1)
        return self.embedding(self.dropout(x))  # (N, D)
