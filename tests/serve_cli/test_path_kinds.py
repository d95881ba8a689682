"""What a path is, and what an error about a wrong one says."""

from pathlib import Path
from typing import get_args

import pytest

from gluon_lifted.errors import RunError
from serve_cli.path_kinds import (
    CURES,
    MAKERS,
    NAMES,
    Expected,
    did_you_mean,
    kind_of,
    may_be_model,
    refuse_other_folder,
    wrong_kind,
)
from tests.serve_cli.photos import photo


@pytest.fixture
def paths(tmp_path):
    """One path of each kind."""
    for name, files in {
        "run": ["card.json", "model-symbol.json"],
        "several": ["start/card.json"],
        "unfinished": ["checkpoints/1/state"],
        "embeddings": ["manifest.json", "plan.json"],
        "index": ["index.json"],
        "folder": ["notes.txt"],
    }.items():
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (tmp_path / "empty").mkdir()
    photo(tmp_path / "classes" / "cat" / "1.jpg")
    photo(tmp_path / "flat" / "1.jpg")
    for name in (
        *("model.onnx", "reference.npz", "net-symbol.json", "net-0000.params"),
        *("notes.txt", "notes.md", "table.csv"),
    ):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("several", "runs"),
        ("net-0000.params", "params"),
        ("table.csv", "table"),
        ("run", "run"),
        ("unfinished", "run"),
        ("embeddings", "embeddings"),
        ("index", "index"),
        ("classes", "images"),
        ("flat", "images"),
        ("flat/1.jpg", "image"),
        ("folder", "folder"),
        ("empty", "empty"),
        ("model.onnx", "model"),
        ("reference.npz", "reference"),
        ("net-symbol.json", "symbol"),
        ("notes.txt", "list"),
        ("notes.md", "file"),
        ("nothing", "none"),
    ],
)
def test_kinds(paths, name, kind):
    assert kind_of(paths / name) == kind


def test_a_sub_folder_that_cannot_be_listed_is_passed_over(paths, monkeypatch):
    def refuse(folder, list_entries=Path.iterdir):
        if folder.name == "cat":
            raise PermissionError(13, "Permission denied", str(folder))
        return list_entries(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert kind_of(paths / "classes") == "folder"


def test_every_kind_has_a_name_and_every_cure_is_of_kinds():
    assert {found for _, found in CURES} <= set(NAMES)
    assert {expected for expected, _ in CURES} <= set(MAKERS) == set(get_args(Expected))


def test_a_run_where_a_model_is_expected_is_to_be_exported(paths):
    message = wrong_kind(paths / "run", "model")
    assert message.startswith(f"{paths / 'run'} is a run folder of `lifted train`; expected an ONNX model")
    assert message.endswith(f"Export it first: `lifted export {paths / 'run'} --onnx model.onnx`")


def test_an_index_or_a_model_can_be_served(paths):
    message = wrong_kind(paths / "embeddings", "index or model")
    assert "expected an index of `lifted index` or an ONNX model of `lifted export`. Index them first" in message


@pytest.mark.parametrize("cure", CURES.values())
def test_a_command_to_copy_ends_without_a_full_stop(cure):
    assert cure.endswith(".") != (": `lifted " in cure)


def test_a_path_with_a_space_is_quoted_in_a_command(paths):
    (paths / "my run").mkdir()
    (paths / "my run" / "card.json").touch()
    assert f"`lifted export '{paths / 'my run'}' --onnx" in wrong_kind(paths / "my run", "model")


@pytest.mark.parametrize(("name", "possible"), [("model.onnx", True), ("notes.md", True), ("flat/1.jpg", False)])
def test_what_may_be_a_model(paths, name, possible):
    assert may_be_model(paths / name) is possible


@pytest.mark.parametrize("name", ["classes", "flat", "run", "index"])
def test_nothing_is_written_among_files_of_another_kind(paths, name):
    with pytest.raises(RunError, match="Expected a new folder: give another --out"):
        refuse_other_folder(paths / name, "embeddings")


@pytest.mark.parametrize("name", ["embeddings", "empty", "folder", "nothing"])
def test_a_new_folder_or_one_of_the_same_kind_is_written(paths, name):
    refuse_other_folder(paths / name, "embeddings")


def test_swapped_arguments_are_noticed(paths):
    swapped = wrong_kind(paths / "classes", "model", other=paths / "model.onnx")
    assert swapped.endswith(f"{paths / 'model.onnx'} is an ONNX model: are the two arguments swapped?")
    assert "swapped?" not in wrong_kind(paths / "classes", "model", other=paths / "flat")


def test_missing_paths_suggest_the_closest_name(paths):
    assert did_you_mean(paths / "modle.onnx") == f" Did you mean {paths / 'model.onnx'}?"
    assert did_you_mean(paths / "quite different") == ""
    assert did_you_mean(paths / "nowhere" / "model.onnx") == ""
    assert "no such file or folder. Did you mean" in wrong_kind(paths / "modle.onnx", "model")
