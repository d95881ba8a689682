"""Recipes of the paper's experiments: every number that its authors published, with its source.

Sources, as cited below:

- "solver", "train_val": ``model/solver_*.prototxt`` and ``model/train_val_*.prototxt`` of the authors' repository
  rksltnl/Deep-Metric-Learning-CVPR16.
- "issue N": issue N of that repository, answered by the first author.
- "code/...": MATLAB files of that repository.
- "paper": Song et al., CVPR 2016.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gluon_lifted.errors import ConfigError


class Sourced(NamedTuple):
    """A value and where it was published."""

    value: Any
    source: str


# The files and issues cited below
REPOSITORY = "https://github.com/rksltnl/Deep-Metric-Learning-CVPR16"
_PAPER = {
    "fit": Sourced("stretch", "paper: images normalized to 256 x 256; re-implementations ignore the aspect ratio"),
    "interpolation": Sourced("bicubic", "code/load_cropped_images.m: imresize with its default"),
    "resize": Sourced(256, "code/config.m"),
    "crop": Sourced(227, "train_val: crop_size 227"),
    "colors": Sourced("caffe", "bvlc_googlenet: BGR, mean_value 104, 117, 123"),
    "augment": Sourced("paper", "train_val: crop_size, mirror"),
    "mean_image": Sourced("", "not as published: train_val subtracts imagenet_mean.binaryproto; give yours"),
    "validation_classes": Sourced(0.0, "no validation split in the published code"),
    "backbone": Sourced("googlenet", "train_val: the layers of bvlc_googlenet"),
    "weights": Sourced("bvlc_googlenet.caffemodel", "README: fine-tuned from bvlc_googlenet"),
    "dim": Sourced(64, "issue 11: embed64"),
    "batch_norm": Sourced("batch", "train_val: the network has none"),
    "embedding_init": Sourced("random", "train_val: fc_embedding weight_filler xavier"),
    "dropout": Sourced(0.4, "train_val: drop7 dropout_ratio 0.4"),
    "normalize": Sourced(value=False, source="issue 25: unnecessary; no such layer in train_val"),
    "loss": Sourced("lifted", "train_val: LiftedStructSimilaritySoftmaxLoss"),
    "margin": Sourced(1.0, "train_val: margin 1"),
    "sampler": Sourced("pairs", "code/get_training_examples_multilabel.m"),
    "batch_size": Sourced(128, "code/gen_caffe_dataset_multilabel_m128.m"),
    "iterations": Sourced(20_000, "solver: max_iter 20000"),
    "optimizer": Sourced("sgd", "solver: Caffe's default"),
    "momentum": Sourced(0.9, "solver: momentum 0.9"),
    "learning_rate": Sourced(1e-4, "solver: base_lr 0.0001"),
    "embedding_lr_mult": Sourced(10.0, "train_val: fc_embedding lr_mult 10"),
    "bias_lr_mult": Sourced(2.0, "train_val: lr_mult 1 and 2; fc_embedding 10 and 20"),
    "schedule": Sourced("step", "solver: lr_policy step"),
    "warmup": Sourced(0, "solver: none"),
    "step_every": Sourced(32_000, "solver: stepsize 32000"),
    "step_factor": Sourced(0.96, "solver: gamma 0.96"),
    "weight_decay": Sourced(2e-4, "solver: weight_decay 0.0002; decay_mult of biases 0"),
    "clip_gradient": Sourced(0.0, "solver: none"),
    "checkpoint_every": Sourced(10_000, "solver: snapshot 10000"),
}

RECIPES: dict[str, dict[str, Sourced]] = {
    "paper-cub": _PAPER
    | {
        "dataset": Sourced("cub200", "paper"),
        "learning_rate": Sourced(1e-6, "issue 11: base_lr of the birds' solver"),
        "iterations": Sourced(40_000, "issue 11: max_iter of the birds' solver"),
    },
    "paper-cars": _PAPER | {"dataset": Sourced("cars196", "paper")},
    "paper-sop": _PAPER
    | {
        "dataset": Sourced("sop", "paper"),
        "dim": Sourced(512, "the recall quoted for the paper is that of 512"),
        "trim": Sourced(value=True, source="code/load_cropped_images.m: pixels with gray below 250, and 15 around"),
        "fit": Sourced("pad", "code/load_cropped_images.m: longer side to 256, white around"),
        "learning_rate": Sourced(1e-4, "code/evaluation: files named baselr_1E4"),
    },
}


def recipe(name: str) -> dict[str, Sourced]:
    """Return a recipe: field of `TrainConfig` -> value and source. Raises `ConfigError` for an unknown name."""
    if name not in RECIPES:
        raise ConfigError(f"recipe {name!r} is unknown. Choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]
