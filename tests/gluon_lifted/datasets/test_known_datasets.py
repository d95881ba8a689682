import re
from pathlib import Path

import pytest
from PIL import Image

from gluon_lifted.datasets import DATASETS, load_dataset
from gluon_lifted.errors import ConfigError, DataError

HEADER = "path,label,split,x1,y1,x2,y2\n"


@pytest.fixture
def manifest(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    path = tmp_path / "list.csv"
    path.write_text(HEADER + "a.png,a,train,,,,\nb.png,b,test,0,1,2,3\n")
    return path


def test_boxes_are_left_out_unless_asked_for(manifest):
    whole = load_dataset("manifest", manifest)
    assert whole.train.boxes is None
    assert whole.test.boxes is None
    boxed = load_dataset("manifest", manifest, use_boxes=True)
    assert boxed.train.box(0) is None
    assert boxed.test.box(0) == (0, 1, 2, 3)


def test_data_sets_without_boxes_cannot_use_them(manifest):
    manifest.write_text("path,label\na.png,a\nb.png,b\n")
    with pytest.raises(DataError, match=r"list\.csv: has no bounding boxes\. Leave out --use-boxes"):
        load_dataset("manifest", manifest, use_boxes=True)
    for name in ("a", "b"):
        (manifest.parent / "photos" / name).mkdir(parents=True)
        (manifest.parent / f"{name}.png").rename(manifest.parent / "photos" / name / "1.png")
    assert load_dataset("folder", manifest.parent / "photos").test.boxes is None
    with pytest.raises(DataError, match="has no bounding boxes"):
        load_dataset("folder", manifest.parent / "photos", use_boxes=True)


def test_names_that_are_unknown():
    message = f"'nothing' is unknown. Choose one of {', '.join(DATASETS)}"
    with pytest.raises(ConfigError, match=message):
        load_dataset("nothing", Path())


@pytest.mark.parametrize("name", DATASETS)
def test_every_declared_loader_can_be_imported(name):
    assert callable(DATASETS[name].loader)


def test_a_missing_root_is_named_with_what_it_should_hold(tmp_path):
    for name, declaration in DATASETS.items():
        if declaration.needs_root:
            message = f"nowhere: no such {declaration.root}; expected the data set {name} ({declaration.files})."
            with pytest.raises(DataError, match=re.escape(message)):
                load_dataset(name, str(tmp_path / "nowhere"))
