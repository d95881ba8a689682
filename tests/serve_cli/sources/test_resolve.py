import os

import numpy as np
import pytest

from gluon_lifted.datasets import ImageTable
from gluon_lifted.errors import DataError
from serve_cli.sources.resolve import dataset_source, open_source


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def ids(root):
    return [row.id for row in open_source(root)]


def test_order_is_that_of_the_sorted_paths(tmp_path):
    names = [
        "a.jpg",
        "a/x.png",
        "a-1/x.jpg",
        "a/b/c.jpg",
        "B/1.jpg",
        "B/10.jpg",
        "B/2.jpg",
        "z.JPG",
        "ä b.webp",
        "a0.jpg",
    ]
    touch(tmp_path, *names)
    assert ids(tmp_path) == sorted(names)
    assert [row.path for row in open_source(tmp_path)] == [tmp_path / name for name in sorted(names)]
    assert open_source(tmp_path).count() == len(names)


def test_order_of_random_trees(tmp_path):
    rng = np.random.default_rng(0)
    letters = np.array(list("aB-_.0é "))
    for _ in range(80):
        parts = ["x" + "".join(rng.choice(letters, rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
        touch(tmp_path, "/".join(parts) + "q.jpg")
    everything = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")]
    assert ids(tmp_path) == sorted(everything)


def test_hidden_names_and_other_suffixes_are_passed_over(tmp_path):
    touch(tmp_path, "a.jpg", ".b.jpg", ".git/c.jpg", "d.txt", "jpg", "e.jpg.part")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    assert ids(tmp_path) == ["a.jpg"]


def test_labels_are_first_sub_folders_if_no_image_lies_beside_them(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/deep/2.jpg", "notes.txt")
    assert [row.label for row in open_source(tmp_path)] == ["cat", "dog"]
    touch(tmp_path, "stray.jpg")
    assert [row.label for row in open_source(tmp_path)] == [None, None, None]


def test_links_are_followed_and_never_in_circles(tmp_path):
    touch(tmp_path, "a/1.jpg", "elsewhere/2.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    (tmp_path / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/nowhere.jpg").symlink_to("gone.jpg")
    found = ids(tmp_path)
    assert found == ["a/1.jpg", "b/2.jpg", "b/nowhere.jpg", "elsewhere/2.jpg", "elsewhere/nowhere.jpg"]


def test_one_file(tmp_path):
    touch(tmp_path, "my photo.jpg", "other.jpg")
    (row,) = open_source(tmp_path / "my photo.jpg")
    assert (row.id, row.path, row.label) == ("my photo.jpg", tmp_path / "my photo.jpg", None)


def test_name_that_is_not_utf8_is_written_out(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(raw, "wb"):
        pass
    (row,) = open_source(tmp_path)
    assert row.id == r"caf\xe9.jpg"
    assert os.fsencode(row.path) == raw


def test_relative_folder_gives_absolute_paths(tmp_path, monkeypatch):
    touch(tmp_path, "photos/1.jpg")
    monkeypatch.chdir(tmp_path)
    (row,) = open_source(tmp_path / "photos" / ".." / "photos")
    assert row.path == tmp_path / "photos" / "1.jpg"


def test_missing_and_empty(tmp_path):
    with pytest.raises(DataError, match=r"none: no such file or folder"):
        open_source(tmp_path / "none")
    touch(tmp_path, "a.txt")
    with pytest.raises(DataError, match=r"no images found.*\.jpeg \.jpg \.png"):
        open_source(tmp_path)


def test_a_run_folder_is_no_folder_of_photographs(tmp_path):
    touch(tmp_path / "run", "curves.png", "card.json")
    with pytest.raises(DataError, match="is a run folder of `lifted train`; expected a folder of images"):
        open_source(tmp_path / "run")


def test_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    real = os.scandir

    def forbidding(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    with pytest.raises(DataError, match=r"/b: cannot be listed \(Permission denied\)"):
        open_source(tmp_path).count()


def test_table_of_a_data_set(tmp_path):
    paths = (tmp_path / "x" / "1.jpg", tmp_path / "2.jpg", tmp_path.parent / "3.jpg")
    table = ImageTable(paths, np.array([1, 0, 1]), ("cat", "dog"))
    rows = list(dataset_source(table, tmp_path))
    assert [(row.id, row.label) for row in rows] == [("x/1.jpg", "dog"), ("2.jpg", "cat"), ("../3.jpg", "dog")]
    assert [row.path for row in rows] == list(paths)
