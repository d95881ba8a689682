"""CARS196 in tiny copies of its official layouts, including their oddities."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from gluon_lifted.datasets import load_dataset
from gluon_lifted.datasets.cars196 import PUBLISHED, load_cars196
from gluon_lifted.datasets.image_table import PublishedCounts
from gluon_lifted.errors import DataError, ImageError, MissingPackageError
from gluon_lifted.images import Preprocessing, read_image

TINY = {
    "whole": PublishedCounts(train_images=3, train_classes=2, test_images=2, test_classes=2),
    "train": PublishedCounts(train_images=2, train_classes=2, test_images=1, test_classes=1),
    "test": PublishedCounts(train_images=1, train_classes=1, test_images=1, test_classes=1),
}
TRAIN = [("00001.jpg", 14), ("00002.jpg", 99), ("00003.jpg", 98)]
TEST = [("00001.jpg", 196), ("00002.jpg", 14)]  # file names restart from 1
NAMES = np.array([f"Make{i} Model/{i} 2012" for i in range(1, 197)], dtype=object)


def write_annotations(path, rows, file_field):
    """rows: (file, class or None) -> MATLAB struct array with the fields of the official files."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
    labeled = rows[0][1] is not None
    kinds = [(name, object) for name in (*fields, *(["class"] if labeled else []), file_field)]
    records = np.zeros((1, len(rows)), dtype=kinds)
    for index, (file, label) in enumerate(rows):
        records[0, index] = (39, 116, 569, 375, *([label] if labeled else []), file)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": records})


def add_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4)).save(path)


@pytest.fixture
def split_layout(tmp_path):
    write_annotations(tmp_path / "devkit" / "cars_train_annos.mat", TRAIN, "fname")
    write_annotations(tmp_path / "cars_test_annos_withlabels.mat", TEST, "fname")
    savemat(tmp_path / "devkit" / "cars_meta.mat", {"class_names": NAMES[None]})
    for half, rows in (("cars_train", TRAIN), ("cars_test", TEST)):
        for file, _ in rows:
            add_image(tmp_path / half / file)
    return tmp_path


@pytest.fixture
def kaggle_layout(tmp_path):
    for half, rows in (("train", TRAIN), ("test", TEST)):
        for file, label in rows:
            add_image(tmp_path / "car_data" / "car_data" / half / NAMES[label - 1].replace("/", "-") / file)
        lines = [f"{file},39,116,569,375,{label}" for file, label in rows]
        (tmp_path / f"anno_{half}.csv").write_text("\r\n".join(lines) + "\r\n")
    (tmp_path / "names.csv").write_text("".join(f"{name}\n" for name in NAMES))
    return tmp_path


def as_sets(table):
    """Half, file and class name of every image."""
    halves = {"cars_train": "train", "cars_test": "test"}
    images = set()
    for path, label in zip(table.paths, table.labels, strict=True):
        half = halves.get(path.parent.name, path.parent.parent.name)
        images.add((half, path.name, table.class_names[label]))
    return images


@pytest.mark.parametrize("layout", ["split_layout", "kaggle_layout"])
def test_the_halves_are_pooled_and_split_by_class(layout, request):
    root = request.getfixturevalue(layout)
    splits = load_cars196(root, TINY)
    assert as_sets(splits.train) == {
        ("train", "00001.jpg", "014 Make14 Model/14 2012"),
        ("test", "00002.jpg", "014 Make14 Model/14 2012"),
        ("train", "00003.jpg", "098 Make98 Model/98 2012"),
    }
    assert as_sets(splits.test) == {
        ("train", "00002.jpg", "099 Make99 Model/99 2012"),
        ("test", "00001.jpg", "196 Make196 Model/196 2012"),
    }
    # First and last pixel, counted from 1, are the edges 38 ... 569 and 115 ... 375.
    assert {splits.train.box(row) for row in range(3)} == {(38, 115, 569, 375)}


@pytest.mark.parametrize("torchvision", [False, True])
def test_images_one_folder_deeper(split_layout, torchvision):
    expected = as_sets(load_cars196(split_layout, TINY).train)
    for half in ("cars_train", "cars_test"):
        (split_layout / half).rename(split_layout / "away")
        (split_layout / half).mkdir()
        (split_layout / "away").rename(split_layout / half / half)
    (split_layout / "cars_annos.mat").touch()  # of the other layout
    if torchvision:
        (split_layout / "stanford_cars").mkdir()
        for entry in [path for path in split_layout.iterdir() if path.name != "stanford_cars"]:
            entry.rename(split_layout / "stanford_cars" / entry.name)
    assert as_sets(load_cars196(split_layout, TINY).train) == expected


def test_labeled_annotations_may_lie_in_the_devkit(split_layout):
    name = "cars_test_annos_withlabels.mat"
    (split_layout / name).rename(split_layout / "devkit" / name)
    assert len(load_cars196(split_layout, TINY).test) == 2


@pytest.mark.parametrize("layout", ["split_layout", "kaggle_layout"])
def test_one_official_half_alone(layout, request):
    root = request.getfixturevalue(layout)
    folder = root / "car_data" / "car_data" if layout == "kaggle_layout" else root
    prefix = "" if layout == "kaggle_layout" else "cars_"
    (folder / f"{prefix}train").rename(root / "away")
    splits = load_cars196(root, TINY)
    assert as_sets(splits.train) == {("test", "00002.jpg", "014 Make14 Model/14 2012")}
    assert as_sets(splits.test) == {("test", "00001.jpg", "196 Make196 Model/196 2012")}
    (root / "away").rename(folder / f"{prefix}train")
    shutil.rmtree(folder / f"{prefix}test")
    assert (len(load_cars196(root, TINY).train), len(load_cars196(root, TINY).test)) == (2, 1)
    with pytest.raises(DataError, match=r"has 2 training images of 2 classes .* published 1 training images"):
        load_cars196(root, {**TINY, "train": TINY["test"]})


def test_one_folder_layout(tmp_path):
    rows = [("car_ims/000001.jpg", 1), ("car_ims/000002.jpg", 98), ("car_ims/000003.jpg", 1)]
    rows += [("car_ims/016184.jpg", 99), ("car_ims/016185.jpg", 196)]
    write_annotations(tmp_path / "cars_annos.mat", rows, "relative_im_path")
    annotations = loadmat(tmp_path / "cars_annos.mat")["annotations"]
    savemat(tmp_path / "cars_annos.mat", {"annotations": annotations, "class_names": NAMES[None]})
    for file, _ in rows:
        add_image(tmp_path / file)
    splits = load_cars196(tmp_path, TINY)
    assert splits.train.labels.tolist() == [0, 1, 0]
    assert splits.test.paths[1] == tmp_path / "car_ims" / "016185.jpg"
    assert splits.test.class_names == ("099 Make99 Model/99 2012", "196 Make196 Model/196 2012")
    assert splits.test.box(1) == (38, 115, 569, 375)


def test_the_published_numbers_hold_unless_told_otherwise(split_layout):
    whole, train, test = (PUBLISHED[part] for part in ("whole", "train", "test"))
    assert PublishedCounts(train_images=8054, train_classes=98, test_images=8131, test_classes=98) == whole
    assert (train.train_images + train.test_images, test.train_images + test.test_images) == (8144, 8041)
    assert train.train_images + test.train_images == whole.train_images
    assert train.test_images + test.test_images == whole.test_images
    for load in (load_cars196, lambda root: load_dataset("cars196", root)):
        with pytest.raises(
            DataError, match=r"has 3 training .* published 8,054 .* get it from https://www\.kaggle\.com/"
        ):
            load(split_layout)
    shutil.rmtree(split_layout / "cars_test")
    with pytest.raises(DataError, match=r"has 2 training .* published 4,052 training .* 4,092 test"):
        load_cars196(split_layout)


def test_bad_copies_are_named(split_layout):
    (split_layout / "cars_train" / "00002.jpg").unlink()
    with pytest.raises(
        DataError, match=r"00002\.jpg: listed in the annotations, but missing\. 1 of 5 images .* Download it"
    ):
        load_cars196(split_layout, TINY)
    annotations = split_layout / "devkit" / "cars_train_annos.mat"
    write_annotations(annotations, [("00001.jpg", 1), ("00003.jpg", 197)], "fname")
    with pytest.raises(DataError, match=r"cars_train_annos\.mat, entry 2: the class is 197; expected 1 to 196"):
        load_cars196(split_layout, TINY)
    write_annotations(annotations, [("../cars_test/00001.jpg", 1)], "fname")
    with pytest.raises(DataError, match=r"cars_train_annos\.mat, entry 1: .* is not a path inside"):
        load_cars196(split_layout, TINY)
    (split_layout / "cars_test_annos_withlabels.mat").unlink()
    write_annotations(annotations, [("00001.jpg", 1)], "fname")
    with pytest.raises(DataError, match=r"cars_test_annos_withlabels\.mat: no such file\. Download it from"):
        load_cars196(split_layout, TINY)


def test_unlabeled_and_damaged_annotations(split_layout):
    path = split_layout / "devkit" / "cars_train_annos.mat"
    write_annotations(path, [("00001.jpg", None)], "fname")
    with pytest.raises(DataError, match="no fields 'fname' and 'class'"):
        load_cars196(split_layout, TINY)
    for content in ("just text", 3.0, NAMES[None]):
        savemat(path, {"annotations": content})
        with pytest.raises(DataError, match="no fields 'fname' and 'class'"):
            load_cars196(split_layout, TINY)
    for content in (b"MATLAB 5.0 MAT-file" + bytes(200), b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a MATLAB file"):
            load_cars196(split_layout, TINY)
    savemat(path, {"other": 1})
    with pytest.raises(DataError, match="not a MATLAB file with the variable 'annotations'"):
        load_cars196(split_layout, TINY)


def test_scipy_that_is_not_installed(split_layout, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingPackageError, match=r"annos.mat needs it\. Install it: `pip install .*\[cars196\]'`$"):
        load_cars196(split_layout, TINY)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("anno_train.csv", "00002.jpg,39,", "00002.jpg,", r"anno_train\.csv, line 2: expected file, x1, y1, x2, y2"),
        ("anno_train.csv", "375,99", "375,0", r"anno_train\.csv, line 2: the class is 0; expected 1 to 196"),
        ("anno_train.csv", "375,99", "375,car", r"anno_train\.csv, line 2: expected a whole number, found 'car'"),
        ("anno_test.csv", "39,116", "x,116", r"anno_test\.csv, line 1: expected a box of four numbers"),
        ("anno_test.csv", "39,116", "570,116", r"anno_test\.csv, line 1: a box .* is empty"),
        ("anno_test.csv", "00001.jpg", "../00001.jpg", r"anno_test\.csv, line 1: .* is not a path inside"),
        ("names.csv", "Make7 Model/7 2012\n", "", r"names\.csv: has 195 class names; expected 196"),
    ],
)
def test_kaggle_lists_that_are_damaged(kaggle_layout, file, old, new, message):
    text = (kaggle_layout / file).read_text()
    assert old in text
    (kaggle_layout / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load_cars196(kaggle_layout, TINY)


def test_folders_that_are_not_cars196(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"not CARS196; expected .*; get it from https://www\.kaggle"):
            load_cars196(root)


HALF = Path(os.environ.get("LIFTED_DATA", "nowhere")) / "cars196_half"


@pytest.mark.skipif(not HALF.is_dir(), reason="no cars196_half in the folder that LIFTED_DATA names")
def test_the_real_training_half_with_cropped_images():
    """Its images are cut to the boxes, whose coordinates are those of the whole images."""
    splits = load_dataset("cars196", HALF)
    assert (len(splits.train), len(splits.test)) == (4052, 4092)
    boxed = load_dataset("cars196", HALF, use_boxes=True).test
    with pytest.raises(ImageError, match="If the images are cropped already, leave out --use-boxes"):
        read_image(boxed.paths[0], Preprocessing(), boxed.box(0))
