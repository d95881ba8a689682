"""Resolve a run's configuration: defaults, then a recipe, then a file, then the command line."""

from __future__ import annotations

import difflib
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.config.recipes import Sourced, recipe
from gluon_lifted.config.train_config import DEFAULTS, TrainConfig
from gluon_lifted.errors import ConfigError, MissingPackageError
from gluon_lifted.extras import install_command
from gluon_lifted.losses.known_losses import LOSSES
from gluon_lifted.published.registry import is_published

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_FILE_BYTES = 1 << 20
DEFAULT = "default"
FINE_TUNING = {  # defaults with trained weights; measured in benchmarks/results/study_defaults.md
    "learning_rate": Sourced(1e-4, "default with --weights; Fehervari et al. 2019"),
    "dropout": Sourced(0.0, "default with --weights"),
    "batch_norm": Sourced("fixed", "default with --weights"),
    "embedding_init": Sourced("pca", "default with --weights"),
}
# Further ones with published weights: measured in benchmarks/results/first_model.md
PUBLISHED = {"dim": Sourced(512, "default with published weights")}
UNTRAINED = {"normalize": Sourced(value=True, source="default with published weights and --iterations 0")}
Settings = dict[str, Sourced]


def resolve(given: Mapping[str, Any], recipe_name: str | None = None, file: str | Path | None = None) -> Settings:
    """Resolve the value of every field of `TrainConfig`, with its source.

    Parameters
    ----------
    given : mapping
        Field of `TrainConfig` -> value, as given on the command line. Overrides everything else.
    recipe_name : str, optional
        A name in `RECIPES`.
    file : str or Path, optional
        TOML or YAML, by its suffix, with fields of `TrainConfig`. Overrides the recipe.

    Raises
    ------
    ConfigError
        If a recipe, field or format is unknown, or the file cannot be read.
    """
    _require_fields(given, "train")
    chosen: Settings = dict(recipe(recipe_name)) if recipe_name else {}
    if file is not None:
        chosen |= {name: Sourced(value, Path(file).name) for name, value in read_config_file(file).items()}
    chosen |= {name: Sourced(value, "command line") for name, value in given.items()}
    settings = {name: Sourced(value, DEFAULT) for name, value in DEFAULTS.items()}
    if not recipe_name:
        loss = chosen.get("loss", settings["loss"]).value
        if loss in LOSSES:  # `TrainConfig` refuses other names
            settings |= {name: Sourced(*default) for name, default in LOSSES[loss].defaults.items()}
        weights, iterations = (chosen.get(name, settings[name]).value for name in ("weights", "iterations"))
        settings |= FINE_TUNING if weights else {}
        if is_published(weights):  # a file may hold an embedding layer, which keeps its width
            settings |= PUBLISHED if iterations else PUBLISHED | UNTRAINED
    return settings | chosen


def config_of(settings: Settings) -> TrainConfig:
    """Build the configuration. Raises `ConfigError` as `TrainConfig` does."""
    return TrainConfig(**{name: setting.value for name, setting in settings.items()})


def resolve_config(
    given: Mapping[str, Any], recipe_name: str | None = None, file: str | Path | None = None
) -> TrainConfig:
    """Build the configuration that `lifted train` would use.

    Unlike ``TrainConfig(...)``, it takes the defaults that suit the loss and the initial weights.

    Parameters
    ----------
    given, recipe_name, file
        See `resolve`.

    Raises
    ------
    ConfigError
        As `resolve` and `TrainConfig` do.

    Examples
    --------
    >>> resolve_config({"data": "photos"}).learning_rate
    0.002
    >>> resolve_config({"data": "photos", "weights": "imagenet"}).learning_rate
    0.0001
    """
    return config_of(resolve(given, recipe_name, file))


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Read fields of `TrainConfig` from a TOML or YAML file. Raises `ConfigError` if the file is anything else.

    Raises `MissingPackageError` for YAML if PyYAML is not installed.
    """
    path = Path(path)
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise ConfigError(f"{path}: unknown format; expected a file that ends in .toml, .yaml or .yml.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{path}: larger than {MAX_FILE_BYTES:,} bytes, so it is not a configuration of `lifted train`."
            )
        text = path.read_text(encoding="utf-8")
        parsed = _parse_toml(text) if path.suffix == ".toml" else _parse_yaml(text)
    except (OSError, ValueError, RecursionError) as error:  # TOML and YAML errors are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ConfigError(
            f"{path}: cannot be read as a configuration ({reason}). See one with `lifted train --print-config`."
        ) from None
    if not isinstance(parsed, dict):
        raise ConfigError(
            f"{path}: contains no options; expected lines such as "
            f"`{'dim = 64' if path.suffix == '.toml' else 'dim: 64'}`."
        )
    fields = {str(name).replace("-", "_"): value for name, value in parsed.items()}
    _require_fields(fields, path)
    return {name: _as_number(name, value) for name, value in fields.items()}


def _require_fields(names: Iterable[str], where: str | Path) -> None:
    """Raise `ConfigError` for a name that is not a field of `TrainConfig`."""
    for name in names:
        if name not in DEFAULTS:
            close = difflib.get_close_matches(name, DEFAULTS, 1)
            hint = f"Did you mean {close[0]}?" if close else "`lifted train --print-config` lists all options."
            raise ConfigError(f"{where}: unknown option {name!r}. {hint}")


def _as_number(name: str, value: Any) -> Any:
    """Convert values of float fields: YAML reads 1e-4 as text, and both formats read 1 as an integer."""
    if type(DEFAULTS[name]) is float and type(value) in (int, str):
        with suppress(ValueError):
            return float(value)
    return value


def _parse_toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    return tomllib.loads(text)


def _parse_yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"pyyaml is not installed, and reading YAML needs it. Write TOML instead, or install it: "
            f"`{install_command('train')}`"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(error) from None


def as_toml(settings: Settings) -> str:
    """Format the settings as TOML for `read_config_file`, each with its source as a comment.

    Defaults are commented out, because some of them change with the loss or the initial weights.
    """
    lines = [
        (f"{'# ' if setting.source == DEFAULT else ''}{name} = {_toml(setting.value)}", setting.source)
        for name, setting in settings.items()
    ]
    width = max(len(line) for line, _ in lines)
    return "".join(f"{line:{width}}  # {source}\n" for line, source in lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
    return repr(value)
