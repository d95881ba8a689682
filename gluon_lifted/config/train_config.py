"""TrainConfig: every number of a run, with its unit. The command line, recipes and files fill the same fields."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError, RunError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_FILE = "config.json"
DATA_SET, NETWORK, LOSS, LEARNING, RUN = "Data set", "Network", "Loss and batches", "Learning", "Run"
SCHEDULES = ("constant", "linear", "step", "cosine")
LOSS_SAMPLERS = {  # a loss that reads the batch as pairs or triplets needs the sampler that lays it out so
    "lifted": ("balanced", "pairs", "triplets", "shuffle"),
    "contrastive": ("pairs",),
    "contrastive-all": ("balanced", "pairs", "triplets", "shuffle"),
    "triplet": ("triplets",),
    "triplet-semihard": ("balanced", "pairs", "triplets", "shuffle"),
    "generalized-lifted": ("balanced", "pairs", "triplets", "shuffle"),
}
BATCH_MULTIPLES = {"pairs": 2, "triplets": 3, "shuffle": 1}


def _option(
    default: object,
    help: str,
    panel: str,
    lowest: float | None = None,
    highest: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field with what the command line says of it, and its bounds."""
    metadata = {"help": help, "panel": panel, "lowest": lowest, "highest": highest, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run's outcome.

    The defaults train from random weights. There the paper's numbers, which start from a network trained on
    ImageNet, collapse: distances shrink to nothing, and the loss stays at that of equal embeddings. Larger
    groups of a class, and an embedding layer no faster than the rest, brought the loss below it on CARS196.
    The paper's own numbers are in `gluon_lifted.config.recipes`.

    Raises
    ------
    ConfigError
        If a value is out of its bounds, or two values cannot work together.
    """

    dataset: str = _option("folder", "folder, manifest, cub200, cars196, sop, or glyphs, which are drawn.", DATA_SET)
    data: str = _option("", "Folder of the data set; for manifest a .csv or .parquet file.", DATA_SET)
    use_boxes: bool = _option(False, "Cut every image to its bounding box first.", DATA_SET)
    trim: bool = _option(False, "Cut white margins off first, as the authors did for products.", DATA_SET)
    fit: str = _option(
        "stretch",
        "How an image becomes a square: stretch, or pad with white.",
        DATA_SET,
        choices=("stretch", "pad"),
    )
    resize: int = _option(256, "Pixels of the square's side.", DATA_SET, lowest=1, highest=4096)
    crop: int = _option(227, "Pixels of the square cut out of it; smaller trains faster.", DATA_SET, lowest=1)
    colors: str = _option(
        "auto",
        "Channel order, mean and scale: imagenet (RGB), caffe (BGR), inception (RGB, -1 to 1), or auto: "
        "what the --weights were trained with.",
        DATA_SET,
        choices=("auto", "imagenet", "caffe", "inception"),
    )
    mean_image: str = _option("", "A .binaryproto of Caffe's, subtracted before cropping; --colors caffe.", DATA_SET)
    validation_classes: float = _option(
        0.1,
        "Share of the training classes kept out to watch recall on; if fewer than 2, the test classes are watched.",
        DATA_SET,
        lowest=0,
    )
    backbone: str = _option(
        "googlenet_bn",
        "googlenet (the paper's), googlenet_bn (learns from random weights too), or any GluonCV classifier.",
        NETWORK,
    )
    weights: str = _option("", "Start from these: imagenet, or a .caffemodel, .pth, .safetensors, .params.", NETWORK)
    dim: int = _option(64, "Width of the embedding.", NETWORK, lowest=1, highest=65_536)
    dropout: float = _option(0.1, "Share of the backbone's outputs dropped; 0.4 with --weights.", NETWORK, lowest=0)
    normalize: bool = _option(False, "Give embeddings unit length, in training and in the exported model.", NETWORK)
    loss: str = _option("lifted", f"{', '.join(LOSS_SAMPLERS)}.", LOSS, choices=tuple(LOSS_SAMPLERS))
    margin: float = _option(1.0, "Margin of the loss: a distance; for the triplet losses a squared one.", LOSS)
    sampler: str = _option(
        "balanced",
        "What makes a batch: balanced (P classes x K images), pairs (the authors' list; with --loss contrastive), "
        "triplets (with --loss triplet), shuffle.",
        LOSS,
        choices=("balanced", *BATCH_MULTIPLES),
    )
    batch_size: int = _option(128, "Images of a batch, of all devices; 120 with --loss triplet.", LOSS, lowest=2)
    images_per_class: int = _option(8, "Images of each class in a balanced batch.", LOSS, lowest=2)
    iterations: int = _option(2000, "Batches to train on; 0 writes the untrained network.", LEARNING, lowest=0)
    optimizer: str = _option("adam", "adam or sgd.", LEARNING, choices=("adam", "sgd"))
    momentum: float = _option(0.9, "Of sgd.", LEARNING, lowest=0)
    learning_rate: float = _option(2e-3, "Of the backbone's weights; 1e-4 with --weights.", LEARNING, lowest=0)
    embedding_lr_mult: float = _option(
        1.0, "How many times as fast the embedding layer learns; 10 with --weights.", LEARNING, lowest=0
    )
    bias_lr_mult: float = _option(2.0, "How many times as fast as weights biases learn.", LEARNING, lowest=0)
    schedule: str = _option(
        "linear",
        "Of the learning rate: constant, linear or cosine (both down to 0), step.",
        LEARNING,
        choices=SCHEDULES,
    )
    warmup: int = _option(0, "First iterations in which the rate rises from 0.", LEARNING, lowest=0)
    step_every: int = _option(32_000, "Iterations between the steps of the step schedule.", LEARNING, lowest=1)
    step_factor: float = _option(0.96, "What a step multiplies the rate by.", LEARNING, lowest=0)
    weight_decay: float = _option(2e-4, "Of weights; biases have none.", LEARNING, lowest=0)
    clip_gradient: float = _option(0.0, "Largest norm of the gradient of all weights; 0: no limit.", LEARNING, lowest=0)
    amp: bool = _option(False, "Mixed precision: float16 where it is safe. GPUs only.", LEARNING)
    seed: int = _option(0, "Decides weights, batches, crops, dropout.", LEARNING, lowest=0)
    eval_every: int = _option(500, "Iterations between measures of recall; 0: at the end.", RUN, lowest=0)
    checkpoint_every: int = _option(500, "Iterations between checkpoints; 0: at the end.", RUN, lowest=0)
    tensorboard: bool = _option(False, "Write TensorBoard event files into the run folder too.", RUN)

    def __post_init__(self) -> None:
        for one in fields(self):
            _check_field(one.name, getattr(self, one.name), one.metadata)
        for name in ("dropout", "momentum", "validation_classes"):
            if getattr(self, name) >= 1:
                raise ConfigError(f"{spelled(name)} is {getattr(self, name)}; expected a share from 0 to below 1.")
        if self.crop > self.resize:
            raise ConfigError(f"crop is {self.crop} px, more than the square it is cut from: resize {self.resize}.")
        if self.mean_image and self.colors != "caffe":
            raise ConfigError(f"mean-image is for --colors caffe, not {self.colors}; add that, or leave it out.")
        if self.sampler not in LOSS_SAMPLERS[self.loss]:
            wanted = " or ".join(LOSS_SAMPLERS[self.loss])
            raise ConfigError(
                f"loss {self.loss} reads its batches as {wanted}, not {self.sampler}: --sampler {wanted}."
            )
        multiple = BATCH_MULTIPLES.get(self.sampler, self.images_per_class)
        if self.batch_size % multiple or (self.sampler == "balanced" and self.batch_size < 2 * multiple):
            raise ConfigError(
                f"batch-size {self.batch_size} does not suit the {self.sampler} sampler; "
                f"expected a multiple of {multiple}{', twice or more' if self.sampler == 'balanced' else ''}."
            )

    @property
    def classes_per_batch(self) -> int:
        """P of a balanced batch."""
        return self.batch_size // self.images_per_class

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
        except (KeyError, TypeError, ValueError, RecursionError, ConfigError) as error:
            raise RunError(f"{path}: damaged ({error!r}); train again into a new folder.") from None


def spelled(name: str) -> str:
    """A field as the command line spells it: ``batch_size`` -> ``batch-size``."""
    return name.replace("_", "-")


def _check_field(name: str, value: Any, metadata: Any) -> None:
    kind = type(DEFAULTS[name])
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ConfigError(f"{spelled(name)} is {value!r:.100}; expected {KINDS[kind]}.")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{spelled(name)} is {value}; expected a finite number.")
    if metadata["lowest"] is not None and value < metadata["lowest"]:
        raise ConfigError(f"{spelled(name)} is {value}; expected {metadata['lowest']} or more.")
    if metadata["highest"] is not None and value > metadata["highest"]:
        raise ConfigError(f"{spelled(name)} is {value}; expected at most {metadata['highest']}.")
    if metadata["choices"] is not None and value not in metadata["choices"]:
        raise ConfigError(f"{spelled(name)} {value!r} is unknown; choose one of {', '.join(metadata['choices'])}.")


KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(TrainConfig)}
