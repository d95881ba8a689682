"""EmbeddingNet: backbone, dropout, embedding layer."""

from __future__ import annotations

from typing import Any

from gluon_lifted.mx import HybridBlock, mx, nn

DROPOUT = 0.4  # drop7 of the authors' train_val_*.prototxt: dropout_ratio
LR_MULT = 10.0  # fc_embedding: lr_mult of its weights, same file
BIAS_LR_MULT = 2.0  # every layer: lr_mult of biases is twice that of weights (1 and 2; 10 and 20), same file


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
    lr_mult : float
        How many times as fast as the backbone the embedding layer learns.

    Notes
    -----
    The embedding layer is drawn from Caffe's ``xavier``, U(-sqrt(3 / C), sqrt(3 / C)). Biases learn twice as
    fast as weights and do not decay.
    """

    def __init__(self, backbone: Any, dim: int, dropout: float = DROPOUT, lr_mult: float = LR_MULT) -> None:
        super().__init__(prefix="")
        with self.name_scope():
            self.backbone = backbone
            self.dropout = nn.Dropout(dropout, prefix="dropout_")
            # Xavier over fan-in with magnitude 3 is U(-sqrt(3 / fan_in), ...): Caffe's filler.hpp
            xavier = mx.init.Xavier(rnd_type="uniform", factor_type="in", magnitude=3)
            self.embedding = nn.Dense(dim, weight_initializer=xavier, prefix="embedding_")
        for name, parameter in self.collect_params().items():
            parameter.lr_mult = lr_mult if name.startswith(self.embedding.prefix) else 1.0
            if name.endswith("bias"):
                parameter.lr_mult *= BIAS_LR_MULT
                parameter.wd_mult = 0.0

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        x = self.backbone(x)  # (N, C, 1, 1)
        return self.embedding(self.dropout(x))  # (N, D)
