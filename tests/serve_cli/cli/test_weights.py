"""`lifted weights`: what training can start from."""

from __future__ import annotations

import json

import pytest

from gluon_lifted.twins.twin_networks import TWINS


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    for name in ("TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def test_every_twin_is_listed(lifted):
    status, out, _ = lifted("weights")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["googlenet", "onnx:googlenet-9", "0"] in rows
    assert ["mobilenetv2_1.0", "torchvision:mobilenet_v2.IMAGENET1K_V1", "1"] in rows
    assert {row[0] for row in rows if row} >= set(TWINS)


def test_a_backbones_weights_with_their_preprocessing(lifted, caches, monkeypatch):
    (caches / "TORCH_HOME" / "hub" / "checkpoints").mkdir(parents=True)
    (caches / "TORCH_HOME" / "hub" / "checkpoints" / "mobilenet_v2-7ebf99e0.pth").touch()
    monkeypatch.setenv("COLUMNS", "120")
    status, out, _ = lifted("weights", "mobilenetv2_1.0")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["torchvision:mobilenet_v2.IMAGENET1K_V1", "224", "256", "cover", "bilinear", "imagenet", "no"] in rows
    assert ["torchvision:mobilenet_v2.IMAGENET1K_V2", "224", "232", "cover", "bilinear", "imagenet", "yes"] in rows


def test_json(lifted, caches):
    hub = caches / "HF_HUB_CACHE" / "models--timm--resnet50d.a1_in1k" / "snapshots" / "abc"
    hub.mkdir(parents=True)
    (hub / "model.safetensors").touch()
    listed = {
        entry["weights"]: entry for entry in json.loads(lifted("weights", "resnet50_v1d", "--json")[1])["resnet50_v1d"]
    }
    assert listed["timm:resnet50d.a1_in1k"]["cached"]
    ra2 = listed["timm:resnet50d.ra2_in1k"]
    assert not ra2["cached"]
    assert (ra2["crop"], ra2["resize"], ra2["interpolation"]) == (224, 256, "bicubic")
    assert [location["sha256"] for location in ra2["locations"]] == [None, "464e36ba"]
    assert set(json.loads(lifted("weights", "--json")[1])) == {"googlenet", *TWINS}


def test_a_backbone_without_published_weights(lifted):
    status, _, err = lifted("weights", "resnet50")
    assert status == 1
    assert "resnet50: has no published weights. Backbones that have some: resnet50_v1" in " ".join(err.split())
    assert "`lifted weights` lists all." in " ".join(err.split())
