"""TrainConfig: every number of a run, with its unit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError, RunError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_FILE = "config.json"
OPTIMIZERS = ("sgd", "adam")
SCHEDULES = ("constant", "linear")
LOWEST = {
    "dim": 1,
    "iterations": 0,
    "classes_per_batch": 2,
    "images_per_class": 2,
    "learning_rate": 0,
    "embedding_lr_mult": 0,
    "weight_decay": 0,
    "eval_every": 0,
    "checkpoint_every": 0,
    "seed": 0,
}


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run's outcome.

    The defaults train from random weights. There the paper's numbers, which start from a network trained on
    ImageNet, collapse: distances shrink to nothing, and the loss stays at that of equal embeddings. Larger
    groups of a class, and an embedding layer no faster than the rest, brought the loss below it on CARS196.

    Parameters
    ----------
    dataset, data : str
        A name in `DATASETS`, and its folder.
    backbone : str
        A name in `BACKBONES`.
    dim : int
        D, width of the embedding: 64 in the paper's shipped solvers.
    dropout : float
        Share of the backbone's outputs dropped in training; 0.4 in the paper (``drop7``).
    margin : float
        Distance units; 1 in the paper (``margin: 1``).
    iterations : int
        Batches to train on; 20,000 in the paper. 0 writes the untrained network.
    classes_per_batch, images_per_class : int
        P and K; 128 images a batch as in the paper.
    optimizer : str
        ``"sgd"`` (momentum 0.9, as in the paper) or ``"adam"``.
    learning_rate : float
        Of the backbone; 1e-4 with SGD in the paper (1e-6 on CUB-200-2011).
    embedding_lr_mult : float
        How many times as fast the embedding layer learns; 10 in the paper, which starts from a trained backbone.
    schedule : str
        ``"constant"`` (the paper's steps of 32,000 iterations come after its end) or ``"linear"``, down to 0.
    weight_decay : float
        Of weights; biases do not decay. 2e-4 in the paper.
    resize, crop : int
        Pixels; 256 and 227 in the paper.
    validation_classes : float
        Share of the training classes kept out of training, to watch recall on. 0 trains on all, as the paper does.
    eval_every, checkpoint_every : int
        Iterations; 0 for only at the end.
    seed : int
        Decides weights, batches, crops and dropout.
    """

    dataset: str
    data: str
    backbone: str = "googlenet_bn"
    dim: int = 64
    dropout: float = 0.1
    margin: float = 1.0
    iterations: int = 2000
    classes_per_batch: int = 16
    images_per_class: int = 8
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    embedding_lr_mult: float = 1.0
    schedule: str = "linear"
    weight_decay: float = 2e-4
    resize: int = 256
    crop: int = 227
    validation_classes: float = 0.1
    eval_every: int = 500
    checkpoint_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name, lowest in LOWEST.items():
            if not getattr(self, name) >= lowest:  # NaN is not
                raise ConfigError(f"{name.replace('_', '-')} is {getattr(self, name)}; expected {lowest} or more.")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer {self.optimizer!r} is unknown; choose one of {', '.join(OPTIMIZERS)}.")
        if not 0 <= self.validation_classes < 1:
            raise ConfigError(f"validation-classes is {self.validation_classes}; expected a share from 0 to below 1.")

    def learning_rate_at(self, iteration: int) -> float:
        """Learning rate of the backbone for batch ``iteration``, counted from 0."""
        left = 1 - iteration / self.iterations if self.schedule == "linear" else 1.0
        return self.learning_rate * left

    @property
    def batch_size(self) -> int:
        return self.classes_per_batch * self.images_per_class

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @staticmethod
    def read(run: Path) -> TrainConfig:
        """The configuration a run was started with. Raises `RunError` if ``run`` is not a run folder."""
        path = run / CONFIG_FILE
        if not path.is_file():
            raise RunError(
                f"{run}: not a run folder, it has no {CONFIG_FILE}; give a folder that `lifted train` wrote."
            )
        try:
            found: dict[str, Any] = json.loads(path.read_text())
            return TrainConfig(**{one.name: found[one.name] for one in fields(TrainConfig)})
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise RunError(f"{path}: damaged ({error!r}); train again into a new folder.") from None
