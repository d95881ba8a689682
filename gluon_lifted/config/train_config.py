"""TrainConfig: all numbers of a run with their units. Command line, recipes and files set the same fields."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.datasets.known_datasets import DATASETS, DEFAULT_DATASET
from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.images.colors import colors_of
from gluon_lifted.images.fits import FITS, FITS_HELP
from gluon_lifted.images.interpolations import INTERPOLATION_HELP, INTERPOLATIONS
from gluon_lifted.losses.known_losses import LOSSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gluon_lifted.datasets.known_datasets import DatasetDeclaration
    from gluon_lifted.losses.known_losses import LossDeclaration

CONFIG_FILE = "config.json"
DATA_SET, NETWORK, LOSS, LEARNING, RUN = "Data set", "Network", "Loss and batches", "Learning", "Run"
SCHEDULES = ("constant", "linear", "step", "cosine")
EMBEDDING_INITS = ("random", "pca")
BATCH_MULTIPLES = {"pairs": 2, "triplets": 3, "shuffle": 1}  # by sampler; balanced uses images_per_class


def _option(
    default: object,
    help: str,
    panel: str,
    lowest: float | None = None,
    highest: float | None = None,
    choices: tuple[str, ...] | None = None,
    otherwise: str = "",
) -> Any:
    """Declare a field with its help text, the panel of --help that shows it, its bounds, and when its default differs.

    ``otherwise`` follows the default in --help, e.g. ``"1e-4 with --weights"``.
    """
    metadata = {"help": help, "panel": panel, "lowest": lowest, "highest": highest, "choices": choices}
    return field(default=default, metadata={**metadata, "otherwise": otherwise})


def _flag(help: str, panel: str, otherwise: str = "") -> Any:
    """Declare a field that is false by default."""
    return _option(default=False, help=help, panel=panel, otherwise=otherwise)


def _listed(declarations: Mapping[str, LossDeclaration] | Mapping[str, DatasetDeclaration]) -> str:
    return ", ".join(f"{name} ({declaration.help})" for name, declaration in declarations.items())


def _losses_where(chosen: Callable[[LossDeclaration], bool]) -> str:
    return ", ".join(name for name, declaration in LOSSES.items() if chosen(declaration))


def _defaults_by_loss(field: str) -> str:
    """List the values of a field whose default changes with the loss: ``"120 with --loss triplet"``."""
    losses: dict[float, list[str]] = {}
    for name, loss in LOSSES.items():
        if field in loss.defaults:
            losses.setdefault(loss.defaults[field][0], []).append(name)
    return "; ".join(f"{value:g} with --loss {' or '.join(names)}" for value, names in losses.items())


def _margins() -> str:
    """List what the margin measures: ``"a distance; a cosine for ..."``."""
    losses: dict[str, list[str]] = {}
    for name, loss in LOSSES.items():
        losses.setdefault(loss.margin, []).append(name)
    usual, *others = losses
    return usual + "".join(f"; {margin} for {', '.join(losses[margin])}" for margin in others)


@dataclass(frozen=True)
class TrainConfig:
    """All settings that affect a run's result.

    The defaults train from random weights. The paper's numbers start from a network trained on ImageNet. From random
    weights they collapse: distances shrink to zero, and the loss stays at that of equal embeddings. On CARS196, more
    images per class and an embedding layer with the learning rate of the rest brought the loss below it. The paper's
    numbers are in `gluon_lifted.config.recipes`. Other defaults suit trained weights and other losses:
    `gluon_lifted.resolve_config` applies them, as `lifted train` does.

    Raises
    ------
    ConfigError
        If a value is out of its bounds, or two values cannot work together.
    """

    dataset: str = _option(
        DEFAULT_DATASET, f"Train on this kind of data set: {_listed(DATASETS)}.", DATA_SET, choices=tuple(DATASETS)
    )
    data: str = _option(
        "", "Read the data set from this folder; for manifest, from this .csv or .parquet file.", DATA_SET
    )
    use_boxes: bool = _flag("Crop each image to its bounding box first.", DATA_SET)
    trim: bool = _flag("Trim white margins first, as the paper's authors did for Stanford Online Products.", DATA_SET)
    fit: str = _option(
        "stretch",
        f"Make images square: {FITS_HELP}.",
        DATA_SET,
        choices=tuple(FITS),
    )
    interpolation: str = _option(
        "auto",
        f"Resize by: {INTERPOLATION_HELP}, or auto: as for --weights, else bilinear.",
        DATA_SET,
        choices=("auto", *INTERPOLATIONS),
    )
    resize: int = _option(256, "Resize images to squares of this many pixels a side.", DATA_SET, lowest=1, highest=4096)
    crop: int = _option(227, "Crop squares of this many pixels a side; smaller crops train faster.", DATA_SET, lowest=1)
    colors: str = _option(
        "auto",
        "Normalize colors as: imagenet (RGB), caffe (BGR), inception (RGB, -1 to 1), "
        "CHANNELS:MEAN:STD such as RGB:0,0,0:255,255,255, or auto: as for --weights.",
        DATA_SET,
    )
    mean_image: str = _option(
        "", "Subtract this mean image, a Caffe .binaryproto, before cropping; needs --colors caffe.", DATA_SET
    )
    augment: str = _option(
        "paper",
        "Change training images at random: paper (crop position, mirror) or standard (crop size and shape too).",
        DATA_SET,
        choices=("paper", "standard"),
    )
    validation_classes: float = _option(
        0.1,
        "Hold out this share of the training classes to measure recall on. If the share is below 2 classes, none is "
        "held out, and recall is measured on the test classes.",
        DATA_SET,
        lowest=0,
    )
    backbone: str = _option(
        "googlenet_bn",
        "Train this network: googlenet (the paper's), googlenet_bn (with batch norm), or a GluonCV classifier.",
        NETWORK,
    )
    weights: str = _option(
        "",
        "Start from these weights: imagenet (the first source that answers), a name that `lifted weights` lists, "
        "hf://OWNER/NAME, or a .caffemodel, .onnx, .pth, .safetensors or .params file. They set --colors and "
        "--interpolation. Most were trained with --crop 224 --resize 256 --fit cover; smaller crops train faster.",
        NETWORK,
        otherwise="random numbers",
    )
    dim: int = _option(
        64,
        "Make embeddings of this width.",
        NETWORK,
        lowest=1,
        highest=65_536,
        otherwise="512 with published weights",
    )
    batch_norm: str = _option(
        "batch",
        "Normalize in training by the statistics of each batch (batch), or by those stored with --weights (fixed).",
        NETWORK,
        choices=("batch", "fixed"),
        otherwise="fixed with --weights",
    )
    embedding_init: str = _option(
        "random",
        "Start the embedding layer as random numbers (random), or as whitened principal components of the training "
        "images' features (pca).",
        NETWORK,
        choices=EMBEDDING_INITS,
        otherwise="pca with --weights",
    )
    init_distance: float = _option(
        8.0,
        "Scale the embedding layer of --embedding-init pca to this root mean square of distances, in margins, or in "
        "absolute terms with losses by cosine.",
        NETWORK,
        lowest=1e-3,
        otherwise=_defaults_by_loss("init_distance"),
    )
    dropout: float = _option(
        0.1, "Drop this share of the backbone's outputs.", NETWORK, lowest=0, otherwise="0 with --weights"
    )
    normalize: bool = _flag(
        "Scale embeddings to unit length, in training and in the exported model.",
        NETWORK,
        otherwise=f"on with {_losses_where(lambda loss: loss.distance == 'cosine')}, and with published weights and "
        "--iterations 0",
    )
    loss: str = _option("lifted", f"Train with this loss: {_listed(LOSSES)}.", LOSS, choices=tuple(LOSSES))
    margin: float = _option(
        1.0, f"Set the margin of the loss: {_margins()}.", LOSS, otherwise=_defaults_by_loss("margin")
    )
    sampler: str = _option(
        "balanced",
        "Build batches by: balanced (P classes x K images), "
        f"pairs (the authors' list; for {_losses_where(lambda loss: loss.sampler == 'pairs')}), "
        f"triplets (for {_losses_where(lambda loss: loss.sampler == 'triplets')}), shuffle.",
        LOSS,
        choices=("balanced", *BATCH_MULTIPLES),
    )
    batch_size: int = _option(
        128,
        "Train on batches of this many images, over all devices.",
        LOSS,
        lowest=2,
        otherwise=_defaults_by_loss("batch_size"),
    )
    images_at_a_time: int = _option(
        0,
        "Run this many images of a batch through the network at a time, on each device, so that large batches fit into "
        "memory; 0: all. Takes a third more time.",
        LOSS,
        lowest=0,
    )
    images_per_class: int = _option(8, "Put this many images of each class into a balanced batch.", LOSS, lowest=2)
    iterations: int = _option(
        2000,
        "Train on this many batches; 0 writes the untrained network. A larger number with --resume extends a finished "
        "run; linear and cosine schedules then raise the rate again.",
        LEARNING,
        lowest=0,
    )
    optimizer: str = _option("adam", "Use this optimizer: adam or sgd.", LEARNING, choices=("adam", "sgd"))
    momentum: float = _option(0.9, "Set the momentum of sgd.", LEARNING, lowest=0)
    learning_rate: float = _option(
        2e-3,
        "Train the backbone's weights with this learning rate.",
        LEARNING,
        lowest=0,
        otherwise="1e-4 with --weights",
    )
    embedding_lr_mult: float = _option(
        1.0, "Multiply the learning rate of the embedding layer by this.", LEARNING, lowest=0
    )
    bias_lr_mult: float = _option(2.0, "Multiply the learning rate of biases by this.", LEARNING, lowest=0)
    proxy_lr_mult: float = _option(
        1.0,
        "Multiply the learning rate of proxies by this. They do not decay.",
        LEARNING,
        lowest=0,
        otherwise=_defaults_by_loss("proxy_lr_mult"),
    )
    schedule: str = _option(
        "linear",
        "Change the learning rate by this schedule: constant, linear or cosine (both down to 0), step.",
        LEARNING,
        choices=SCHEDULES,
    )
    warmup: int = _option(0, "Raise the learning rate from 0 over this many iterations.", LEARNING, lowest=0)
    step_every: int = _option(
        32_000, "Lower the rate of the step schedule every this many iterations.", LEARNING, lowest=1
    )
    step_factor: float = _option(0.96, "Multiply the learning rate by this at each step.", LEARNING, lowest=0)
    weight_decay: float = _option(
        2e-4, "Decay weights by this; biases and batch norm do not decay.", LEARNING, lowest=0
    )
    clip_gradient: float = _option(
        0.0, "Clip the norm of the gradient of weights and proxies to this value; 0: no limit.", LEARNING, lowest=0
    )
    amp: bool = _flag("Train in mixed precision: float16 on GPUs, bfloat16 on CPUs with units for it.", LEARNING)
    seed: int = _option(0, "Seed weights, batches, crops and dropout.", LEARNING, lowest=0)
    average: int = _option(
        0,
        "Average the weights over about this many of the last iterations; 0: use the last weights.",
        LEARNING,
        lowest=0,
    )
    eval_every: int = _option(
        -1,
        "Measure recall every this many iterations; 0: only at the end; -1: 20 measurements a run, fewer if they take "
        "more than 5 % of the computation.",
        RUN,
        lowest=-1,
    )
    keep: str = _option(
        "auto",
        "Keep the weights with the best recall (best) or the last ones (last); auto: best if five or more validation "
        "classes are held out.",
        RUN,
        choices=("auto", "best", "last"),
    )
    patience: int = _option(
        0, "Stop after this many measurements in a row without a better recall; 0: never.", RUN, lowest=0
    )
    test: bool = _option(
        default=True, help="Measure recall on the test classes at the end, once. Slow for many images.", panel=RUN
    )
    checkpoint_every: int = _option(
        500, "Save a checkpoint every this many iterations; 0: only at the end.", RUN, lowest=0
    )
    tensorboard: bool = _flag("Also write TensorBoard event files to the run folder.", RUN)

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check_field(setting.name, getattr(self, setting.name), setting.metadata)
        for name in ("dropout", "momentum", "validation_classes"):
            if getattr(self, name) >= 1:
                raise ConfigError(f"{spelled(name)} is {getattr(self, name)}; expected a share from 0 to below 1.")
        if self.crop > self.resize:
            raise ConfigError(
                f"crop is {self.crop} px, but images are resized to {self.resize} px. Give a smaller --crop or a "
                "larger --resize."
            )
        if self.colors != "auto":
            colors_of(self.colors)
        if self.mean_image and self.colors != "caffe":
            raise ConfigError(
                f"mean-image needs --colors caffe, not {self.colors}. Change --colors, or leave out --mean-image."
            )
        if self.mean_image and self.augment != "paper":
            raise ConfigError(
                f"mean-image needs --augment paper, not {self.augment}. Change --augment, or leave out --mean-image."
            )
        if self.batch_norm == "fixed" and not self.weights:
            raise ConfigError(
                "batch-norm fixed needs the statistics of trained weights. Give --weights, or leave out --batch-norm."
            )
        if self.patience and self.eval_every == 0:
            raise ConfigError("patience needs measurements during training. Leave out --eval-every 0, or --patience.")
        needed = LOSSES[self.loss].sampler
        if needed is not None and self.sampler != needed:
            raise ConfigError(
                f"loss {self.loss} needs batches of {needed}, and the sampler is {self.sampler}. Use --sampler "
                f"{needed}."
            )
        multiple = BATCH_MULTIPLES.get(self.sampler, self.images_per_class)
        if self.batch_size % multiple or (self.sampler == "balanced" and self.batch_size < 2 * multiple):
            raise ConfigError(
                f"batch-size {self.batch_size} does not suit the {self.sampler} sampler. "
                f"Give a multiple of {multiple}{f', at least {2 * multiple}' if self.sampler == 'balanced' else ''}."
            )

    @property
    def classes_per_batch(self) -> int:
        """P of a balanced batch."""
        return self.batch_size // self.images_per_class

    def to_json(self) -> str:
        """Serialize all fields, for `read`."""
        return json.dumps(asdict(self), indent=2)

    @staticmethod
    def read(run: str | Path) -> TrainConfig:
        """Read the configuration of a run. Raises `RunError` if ``run`` is not a run folder."""
        path = Path(run) / CONFIG_FILE
        if not path.is_file():
            raise RunError(
                f"{run}: not a run folder, because it has no {CONFIG_FILE}. Give a folder that `lifted train` wrote."
            )
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            return TrainConfig(**{setting.name: values[setting.name] for setting in fields(TrainConfig)})
        except (KeyError, TypeError, ValueError, RecursionError, ConfigError) as error:
            raise RunError(f"{path}: damaged ({error!r}). Train again into a new folder.") from None


def spelled(name: str) -> str:
    """Return a field's spelling on the command line: ``batch_size`` -> ``batch-size``."""
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
        raise ConfigError(f"{spelled(name)} {value!r} is unknown{_closest(value, metadata['choices'])}")


def _closest(value: str, choices: tuple[str, ...]) -> str:
    """Return the end of a message about an unknown name: the closest choice, if any is close, and all of them."""
    close = get_close_matches(value, choices, 1, cutoff=0.7)
    hint = f"Did you mean {close[0]}? " if close else ""
    return f". {hint}Choose one of {', '.join(choices)}."


KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
DEFAULTS: dict[str, Any] = {setting.name: setting.default for setting in fields(TrainConfig)}
