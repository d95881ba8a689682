import pytest

from gluon_lifted.errors import DataError
from gluon_lifted.images import Preprocessing
from gluon_lifted.published.hub_config import preprocessing_of_hub

TIMM = {
    "input_size": [3, 288, 288],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.229, 0.224, 0.225],
}


def test_timms_fields_are_read():
    assert preprocessing_of_hub({"architecture": "resnet50d", "pretrained_cfg": TIMM}, "x") == Preprocessing(
        resize=303, crop=288, mean=(122.770938, 116.746013, 104.093736), std=(58.395, 57.12, 57.375),
        fit="cover", interpolation="bicubic",
    )  # fmt: skip


@pytest.mark.parametrize("config", [{}, {"model_type": "resnet"}, {"pretrained_cfg": "resnet50"}])
def test_other_files_say_nothing(config):
    assert preprocessing_of_hub(config, "x") is None


@pytest.mark.parametrize(
    "change",
    [
        {"crop_pct": 0}, {"crop_pct": "wide"}, {"mean": [0.5, 0.5]}, {"mean": [None] * 3}, {"std": [0, 0, 0]},
        {"std": [float("nan")] * 3}, {"input_size": 224}, {"input_size": [3]}, {"input_size": [3, 1e9, 1e9]},
    ],
)  # fmt: skip
def test_damaged_fields_are_refused(change):
    with pytest.raises(DataError, match=r"^hf://a/b: pretrained_cfg in its config.json is damaged"):
        preprocessing_of_hub({"pretrained_cfg": TIMM | change}, "hf://a/b")
