"""Defaults, recipes, files and the command line, put together in this order."""

import re
import sys
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.config.recipes import RECIPES
from gluon_lifted.config.resolve import (
    as_toml,
    config_of,
    read_config_file,
    resolve,
    resolve_config,
)
from gluon_lifted.config.schedules import learning_rate
from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.errors import ConfigError, MissingPackageError
from tests.examples import examples


def test_defaults_alone_are_the_dataclass():
    assert config_of(resolve({})) == TrainConfig()


def test_python_has_the_defaults_of_the_command_line():
    given = {"weights": "imagenet", "loss": "triplet"}
    config = resolve_config(given)
    assert config == config_of(resolve(given))
    assert (config.batch_norm, config.sampler, config.batch_size) == ("fixed", "triplets", 120)
    with pytest.raises(ConfigError, match=r"unknown option 'iteration'\. Did you mean iterations"):
        resolve_config({"iteration": 3})


def test_later_layers_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('dim = 32\nlearning-rate = 1\nloss = "triplet-semihard"\n')
    settings = resolve({"dim": 16}, "paper-cub", file)
    config = config_of(settings)
    assert (config.dim, config.learning_rate, config.loss, config.iterations) == (16, 1.0, "triplet-semihard", 40_000)
    sources = [settings[name].source for name in ("dim", "learning_rate", "iterations", "seed")]
    assert sources == ["command line", "mine.toml", "issue 11: max_iter of the birds' solver", "default"]


# The table of the specification, written out: paper.md sections 2.1 to 2.4
PUBLISHED = {
    "backbone": "googlenet", "dim": 64, "dropout": 0.4, "normalize": False, "loss": "lifted", "margin": 1.0,
    "sampler": "pairs", "batch_size": 128, "iterations": 20_000, "optimizer": "sgd", "momentum": 0.9,
    "learning_rate": 1e-4, "embedding_lr_mult": 10.0, "bias_lr_mult": 2.0, "schedule": "step", "step_every": 32_000,
    "step_factor": 0.96, "weight_decay": 2e-4, "resize": 256, "crop": 227, "colors": "caffe", "fit": "stretch",
    "interpolation": "bicubic",
    "trim": False, "validation_classes": 0.0, "clip_gradient": 0.0, "warmup": 0, "use_boxes": False, "amp": False,
}  # fmt: skip
DIFFERING = {
    "paper-cub": {"dataset": "cub200", "learning_rate": 1e-6, "iterations": 40_000},
    "paper-cars": {"dataset": "cars196"},
    "paper-sop": {"dataset": "sop", "dim": 512, "trim": True, "fit": "pad"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_the_published_numbers(name):
    config = asdict(config_of(resolve({"data": "x"}, name)))
    expected = PUBLISHED | DIFFERING[name]
    assert {field: config[field] for field in expected} == expected
    assert all(setting.source for setting in RECIPES[name].values())


def test_rate_of_the_birds_falls_once():
    config = config_of(resolve({}, "paper-cub"))
    assert [learning_rate(config, i) for i in (0, 31_999, 32_000, 39_999)] == pytest.approx(
        [1e-6, 1e-6, 0.96e-6, 0.96e-6]
    )


def test_a_loss_that_reads_pairs_or_triplets_gets_them():
    assert config_of(resolve({"loss": "contrastive"})).sampler == "pairs"
    triplet = config_of(resolve({"loss": "triplet"}))
    assert (triplet.sampler, triplet.batch_size) == ("triplets", 120)
    with pytest.raises(ConfigError, match="loss triplet needs batches of triplets, and the sampler is balanced"):
        config_of(resolve({"loss": "triplet", "sampler": "balanced"}))


def test_trained_weights_are_tuned_gently():
    config = config_of(resolve({"weights": "imagenet"}))
    assert (config.learning_rate, config.embedding_init, config.dropout) == (1e-4, "pca", 0.0)
    assert config.batch_norm == "fixed"
    assert config_of(resolve({})).embedding_init == "random"
    assert config_of(resolve({"weights": "imagenet", "learning_rate": 0.5})).learning_rate == 0.5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"weights": "imagenet", "iterations": 0}, (512, True)),
        ({"weights": "imagenet", "iterations": 0, "dim": 32, "normalize": False}, (32, False)),
        ({"weights": "imagenet", "iterations": 1}, (512, False)),
        ({"weights": "imagenet"}, (512, False)),
        ({"iterations": 0}, (64, False)),
        (
            {"weights": "net.params", "iterations": 0},
            (64, False),
        ),  # a file may hold an embedding layer of another width
    ],
)
def test_published_weights_get_wide_embeddings_and_unit_length_without_training(given, expected):
    config = config_of(resolve(given))
    assert (config.dim, config.normalize) == expected


@pytest.mark.parametrize("recipe", [None, *RECIPES])
def test_what_is_printed_can_be_read_again(tmp_path, recipe):
    settings = resolve({"data": 'C:\\cars "new"\n\x00é'}, recipe)
    file = tmp_path / "printed.toml"
    file.write_text(as_toml(settings), encoding="utf-8")
    assert config_of(resolve({}, file=file)) == config_of(settings)


@given(text=st.text(st.characters(codec="utf-8")))
@examples(100, derandomize=True)
def test_any_text_survives_toml(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("toml") / "one.toml"
    file.write_text(as_toml(resolve({"data": text})), encoding="utf-8", newline="")
    assert read_config_file(file)["data"] == text


def test_yaml_and_toml_say_the_same(tmp_path):
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    toml, yaml = tmp_path / "a.toml", tmp_path / "a.yaml"
    toml.write_text('learning_rate = 1e-4\nnormalize = true\nmargin = 2\ndata = "x"\n')
    yaml.write_text("learning-rate: 1e-4\nnormalize: true\nmargin: 2\ndata: x\n")  # YAML takes 1e-4 for a text
    assert read_config_file(toml) == read_config_file(yaml)
    assert config_of(resolve({}, file=yaml)).learning_rate == 1e-4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "dimm = 3", "unknown option 'dimm'. Did you mean dim"),
        ("a.toml", "qqqqq = 3", "--print-config"),
        ("a.toml", "dim = ", "cannot be read as a configuration"),
        ("a.yaml", "a: [", "cannot be read as a configuration"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "cannot be read as a configuration"),
        ("a.yaml", "- 1", "contains no options"),
        ("a.json", "{}", r"expected a file that ends in \.toml"),
        ("a.toml", "x" * (2 << 20), "larger than"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    if name.endswith(".yaml"):
        pytest.importorskip("yaml", reason="PyYAML is not installed")
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_config_file(path)
    assert str(path) in str(error.value)


def test_yaml_without_its_reader_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "a.yaml"
    path.write_text("dim: 8\n")
    with pytest.raises(MissingPackageError, match="pyyaml"):
        read_config_file(path)


def test_missing_file_and_unknown_recipe(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        read_config_file(tmp_path / "none.toml")
    with pytest.raises(
        ConfigError, match=r"recipe 'paper' is unknown\. Choose one of paper-cub, paper-cars, paper-sop"
    ):
        resolve({}, "paper")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 0}, "dim is 0; expected 1 or more"),
        ({"dim": 8.0}, "dim is 8.0; expected a whole number"),
        ({"dim": True}, "dim is True; expected a whole number"),
        ({"learning_rate": float("nan")}, "learning-rate is nan; expected a finite number"),
        ({"learning_rate": -1.0}, "learning-rate is -1.0; expected 0 or more"),
        ({"learning_rate": "fast"}, "learning-rate is 'fast'; expected a number"),
        ({"normalize": "yes"}, "normalize is 'yes'; expected true or false"),
        ({"loss": "hinge"}, "loss 'hinge' is unknown. Choose one of lifted, contrastive"),
        ({"schedule": "poly"}, "schedule 'poly' is unknown"),
        ({"dropout": 1.0}, "dropout is 1.0; expected a share"),
        ({"batch_size": 12}, "batch-size 12 does not suit the balanced sampler. Give a multiple of 8, at least 16"),
        ({"batch_size": 8}, "Give a multiple of 8, at least 16"),
        ({"batch_size": 9, "sampler": "pairs"}, "does not suit the pairs sampler. Give a multiple of 2"),
        ({"batch_size": 10, "sampler": "triplets"}, "multiple of 3"),
        (
            {"loss": "contrastive"},
            "loss contrastive needs batches of pairs, and the sampler is balanced. Use --sampler pairs",
        ),
        ({"patience": 2, "eval_every": 0}, "patience needs measurements"),
    ],
)
def test_values_that_cannot_work_are_refused(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        TrainConfig(**values)


def test_every_field_says_what_it_is():
    for field in fields(TrainConfig):
        assert field.metadata["help"].endswith((".", "."))
        assert field.metadata["panel"]
