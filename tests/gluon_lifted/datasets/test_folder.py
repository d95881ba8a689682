import numpy as np
import pytest
from PIL import Image

from gluon_lifted.datasets import load_dataset
from gluon_lifted.datasets.image_table import require_trainable
from gluon_lifted.errors import DataError


def add_images(folder, count, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (4, 4)).save(folder / f"photo {index}{suffix}")


def test_first_half_of_the_classes_trains(tmp_path):
    for name, count in (("b b", 2), ("a", 3), ("ç", 4), ("d", 2), ("e", 1)):
        add_images(tmp_path / name, count)
    add_images(tmp_path / ".hidden", 2)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    add_images(tmp_path / "a", 1, ".JPG")
    splits = load_dataset("folder", tmp_path)
    assert splits.train.class_names == ("a", "b b")
    assert splits.test.class_names == ("d", "e", "ç")
    np.testing.assert_array_equal(splits.train.images_per_class(), [4, 2])
    np.testing.assert_array_equal(splits.test.images_per_class(), [2, 1, 4])
    for table in (splits.train, splits.test):
        assert [path.parent.name for path in table.paths] == [table.class_names[label] for label in table.labels]


def test_train_and_test_folders(tmp_path):
    add_images(tmp_path / "train" / "a", 2)
    add_images(tmp_path / "train" / "b", 2)
    add_images(tmp_path / "test" / "c", 3)
    splits = load_dataset("folder", tmp_path)
    assert (splits.train.class_names, splits.test.class_names) == (("a", "b"), ("c",))
    add_images(tmp_path / "test" / "b", 1)
    with pytest.raises(DataError, match="'b' has both training and test images"):
        load_dataset("folder", tmp_path)


def test_missing_empty_and_single_class_folders(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_dataset("folder", tmp_path / "nowhere")
    with pytest.raises(DataError, match="it has no sub-folders; expected one sub-folder of images per class"):
        load_dataset("folder", tmp_path)
    add_images(tmp_path / "only", 3)
    with pytest.raises(DataError, match="only one class"):
        load_dataset("folder", tmp_path)


def test_a_class_with_one_image_cannot_train(tmp_path):
    for name, count in (("a", 2), ("b", 1), ("c", 2), ("d", 2)):
        add_images(tmp_path / name, count)
    with pytest.raises(DataError, match="class 'b' has 1 image"):
        require_trainable(load_dataset("folder", tmp_path).train, tmp_path)
