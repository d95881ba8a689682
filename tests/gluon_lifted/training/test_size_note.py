from gluon_lifted.config.train_config import TrainConfig
from gluon_lifted.images import Preprocessing
from gluon_lifted.training.size_note import size_note

PUBLISHED = Preprocessing(resize=256, crop=224, fit="cover")


def test_only_what_differs_is_said():
    assert size_note(None, TrainConfig()) == ""
    assert size_note(PUBLISHED, TrainConfig(crop=224, fit="cover")) == ""
    assert size_note(PUBLISHED, TrainConfig(crop=112, resize=128)) == (
        "its publisher evaluated these weights with --crop 224 --resize 256 --fit cover; this run uses --crop 112 "
        "--resize 128 --fit stretch."
    )
