import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from gluon_lifted.datasets import glyphs, load_dataset
from gluon_lifted.datasets.glyphs import GlyphOptions, class_name, generate_glyphs
from gluon_lifted.errors import ConfigError, DataError

pytestmark = pytest.mark.slow

SMALL = GlyphOptions(train_classes=3, test_classes=2, images_per_class=4, size=32)


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("glyphs") / "set"
    generate_glyphs(root, SMALL)
    return root


def test_counts_sizes_and_disjoint_classes(small):
    classes = {split: {folder.name for folder in (small / split).iterdir()} for split in ("train", "test")}
    assert (len(classes["train"]), len(classes["test"])) == (3, 2)
    assert not classes["train"] & classes["test"]
    files = [path for path in small.rglob("*") if path.is_file()]
    assert len(files) == (3 + 2) * 4 + 1  # and the marker
    for path in small.rglob("*.png"):
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((32, 32), "RGB")


def test_folder_names_tell_the_character(small):
    assert class_name("Ж") == "U+0416_cyrillic-capital-letter-zhe"
    for folder in small.glob("*/*"):
        code, name = folder.name.split("_")
        character = chr(int(code.removeprefix("U+"), 16))
        assert name == unicodedata.name(character).lower().replace(" ", "-")
        assert folder.name.isascii()


def test_same_seed_same_bytes(small, tmp_path):
    generate_glyphs(tmp_path / "again", SMALL)
    assert contents(tmp_path / "again") == contents(small)


def test_other_seed_other_characters_and_images(small, tmp_path):
    generate_glyphs(tmp_path / "other", GlyphOptions(3, 2, 4, 32, seed=1))
    other = contents(tmp_path / "other")
    assert set(other) != set(contents(small))
    assert not set(other.values()) & set(contents(small).values())


def test_images_of_a_class_differ(small):
    images = [content for name, content in contents(small).items() if name.endswith(".png")]
    assert len(set(images)) == len(images)


def test_equal_options_leave_the_set_alone(small):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    generate_glyphs(small, SMALL)
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_other_options_are_refused(small):
    before = contents(small)
    with pytest.raises(DataError, match=r"glyphs with other options .*images_per_class"):
        generate_glyphs(small, GlyphOptions(3, 2, 5, 32))
    assert contents(small) == before


def test_other_generator_version_is_refused(small, monkeypatch):
    monkeypatch.setattr(glyphs, "GENERATOR_VERSION", glyphs.GENERATOR_VERSION + 1)
    with pytest.raises(DataError, match="other options"):
        generate_glyphs(small, SMALL)


def test_foreign_folder_and_file_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("mine", "file"):
        with pytest.raises(DataError, match="contains other files"):
            generate_glyphs(tmp_path / name, SMALL)
    assert contents(tmp_path) == {"mine/notes.txt": b"keep", "file": b"keep"}


def test_empty_and_relative_folders_are_filled(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    generate_glyphs(Path("."), SMALL)
    assert len(list((tmp_path / "empty").rglob("*.png"))) == 20


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_set_leaves_nothing(tmp_path, monkeypatch, failure):
    save, saved = Image.Image.save, []

    def failing_save(image, path, **options):
        saved.append(path)
        if len(saved) == 7:
            raise failure
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", failing_save)
    expected = DataError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        generate_glyphs(tmp_path / "set", SMALL)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    generate_glyphs(tmp_path / "set", SMALL)
    assert len(list((tmp_path / "set").rglob("*.png"))) == 20


def test_a_half_written_set_is_not_a_set(small, tmp_path):
    half = tmp_path / "half"
    first = next(small.glob("train/*/00.png"))
    (half / "train" / first.parent.name).mkdir(parents=True)
    (half / "train" / first.parent.name / "00.png").write_bytes(first.read_bytes())
    for read in (lambda: generate_glyphs(half, SMALL), lambda: load_dataset("glyphs", half)):
        with pytest.raises(DataError, match="contains other files"):
            read()


@pytest.mark.parametrize("same", [True, False])
def test_another_process_was_faster(small, tmp_path, monkeypatch, same):
    theirs = small if same else tmp_path

    def draw_and_be_overtaken(folder, options):
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "glyphs.json").write_bytes((small / "glyphs.json").read_bytes() if same else b"{}")

    monkeypatch.setattr(glyphs, "_draw_set", draw_and_be_overtaken)
    if same:
        generate_glyphs(tmp_path / "set", SMALL)
    else:
        with pytest.raises(DataError, match="other options"):
            generate_glyphs(tmp_path / "set", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert theirs.exists()


def test_unwritable_parent(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        generate_glyphs(tmp_path / "file" / "set", SMALL)


def test_load_reads_any_options_and_draws_what_is_missing(small, tmp_path, monkeypatch):
    splits = load_dataset("glyphs", small)
    assert (len(splits.train), len(splits.test)) == (12, 8)
    drawn = []
    monkeypatch.setattr(glyphs, "generate_glyphs", lambda root: drawn.append(root) or generate_glyphs(root, SMALL))
    assert len(load_dataset("glyphs", tmp_path / "new").train) == 12
    assert drawn == [tmp_path / "new"]


def test_options_out_of_range():
    for wrong in ({"train_classes": 0}, {"test_classes": 0}, {"images_per_class": 1}, {"size": 8}, {"size": 1024}):
        with pytest.raises(ConfigError):
            GlyphOptions(**wrong)


def test_more_classes_than_characters(tmp_path):
    with pytest.raises(ConfigError, match="characters look different"):
        generate_glyphs(tmp_path / "set", GlyphOptions(train_classes=100_000))
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DataError, match="pip install matplotlib"):
        generate_glyphs(tmp_path / "set", SMALL)


def test_without_its_fonts(tmp_path, monkeypatch):
    monkeypatch.setattr("matplotlib.get_data_path", lambda: os.fspath(tmp_path))
    with pytest.raises(DataError, match=r"DejaVuSans\.ttf: this font of Matplotlib is missing"):
        generate_glyphs(tmp_path / "set", SMALL)


def test_the_character_is_there_in_every_image(small):
    """Ink is darker than paper, which covers more than half of an image."""
    for path in small.rglob("*.png"):
        gray = np.asarray(Image.open(path).convert("L"), float)
        assert np.median(gray) > 150
        assert gray[8:24, 8:24].min() < np.median(gray) - 60
