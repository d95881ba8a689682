"""CARS196 in tiny copies of its official layouts, odd things included."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from gluon_lifted.datasets.cars196 import load_cars196
from gluon_lifted.errors import DataError

NAMES = np.array([f"Make{i} Model/{i} 2012" for i in range(1, 197)], dtype=object)


def write_annotations(path, rows, file_field):
    """rows: (file, class or None) -> MATLAB struct array with the fields of the official files."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
    labelled = rows[0][1] is not None
    kinds = [(name, object) for name in (*fields, *(["class"] if labelled else []), file_field)]
    records = np.zeros((1, len(rows)), dtype=kinds)
    for index, (file, label) in enumerate(rows):
        records[0, index] = (39, 116, 569, 375, *([label] if labelled else []), file)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": records})


def add_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4)).save(path)


@pytest.fixture
def split_layout(tmp_path):
    train = [("00001.jpg", 14), ("00002.jpg", 99), ("00003.jpg", 98)]
    test = [("00001.jpg", 196), ("00002.jpg", 14)]  # file names start again at 00001
    write_annotations(tmp_path / "devkit" / "cars_train_annos.mat", train, "fname")
    write_annotations(tmp_path / "cars_test_annos_withlabels.mat", test, "fname")
    savemat(tmp_path / "devkit" / "cars_meta.mat", {"class_names": NAMES[None]})
    for half, rows in (("cars_train", train), ("cars_test", test)):
        for file, _ in rows:
            add_image(tmp_path / half / file)
    return tmp_path


def as_sets(table):
    return {
        (path.parent.name, path.name, table.class_names[label])
        for path, label in zip(table.paths, table.labels, strict=True)
    }


def test_split_layout_pools_the_halves_and_splits_by_class(split_layout):
    splits = load_cars196(split_layout)
    assert as_sets(splits.train) == {
        ("cars_train", "00001.jpg", "014 Make14 Model/14 2012"),
        ("cars_test", "00002.jpg", "014 Make14 Model/14 2012"),
        ("cars_train", "00003.jpg", "098 Make98 Model/98 2012"),
    }
    assert as_sets(splits.test) == {
        ("cars_train", "00002.jpg", "099 Make99 Model/99 2012"),
        ("cars_test", "00001.jpg", "196 Make196 Model/196 2012"),
    }


def test_labelled_annotations_may_lie_in_the_devkit(split_layout):
    name = "cars_test_annos_withlabels.mat"
    (split_layout / name).rename(split_layout / "devkit" / name)
    assert len(load_cars196(split_layout).test) == 2


def test_one_official_half_alone(split_layout):
    for path in (split_layout / "cars_test").iterdir():
        path.unlink()
    (split_layout / "cars_test").rmdir()
    splits = load_cars196(split_layout)
    assert (len(splits.train), len(splits.test)) == (2, 1)


def test_all_in_one_layout(tmp_path):
    rows = [("car_ims/000001.jpg", 1), ("car_ims/000002.jpg", 98), ("car_ims/016185.jpg", 196)]
    write_annotations(tmp_path / "cars_annos.mat", rows, "relative_im_path")
    from scipy.io import loadmat

    annotations = loadmat(tmp_path / "cars_annos.mat")["annotations"]
    savemat(tmp_path / "cars_annos.mat", {"annotations": annotations, "class_names": NAMES[None]})
    for file, _ in rows:
        add_image(tmp_path / file)
    splits = load_cars196(tmp_path)
    assert (len(splits.train), len(splits.test)) == (2, 1)
    assert splits.test.paths[0] == tmp_path / "car_ims" / "016185.jpg"


def test_bad_copies_are_named(split_layout):
    (split_layout / "cars_train" / "00002.jpg").unlink()
    with pytest.raises(DataError, match=r"00002\.jpg: listed in the annotations but not there \(1 of 5 images\)"):
        load_cars196(split_layout)
    write_annotations(split_layout / "devkit" / "cars_train_annos.mat", [("00001.jpg", 197)], "fname")
    with pytest.raises(DataError, match="has class 197; expected 1 to 196"):
        load_cars196(split_layout)
    (split_layout / "cars_test_annos_withlabels.mat").unlink()
    write_annotations(split_layout / "devkit" / "cars_train_annos.mat", [("00001.jpg", 1)], "fname")
    with pytest.raises(DataError, match=r"cars_test_annos_withlabels\.mat: no such file"):
        load_cars196(split_layout)


def test_unlabelled_and_damaged_annotations(split_layout):
    path = split_layout / "devkit" / "cars_train_annos.mat"
    write_annotations(path, [("00001.jpg", None)], "fname")
    with pytest.raises(DataError, match="no fields 'fname' and 'class'"):
        load_cars196(split_layout)
    path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DataError, match="not a MATLAB file"):
        load_cars196(split_layout)


def test_folders_that_are_not_cars196(tmp_path):
    with pytest.raises(DataError, match="not CARS196"):
        load_cars196(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        load_cars196(tmp_path / "nowhere")
