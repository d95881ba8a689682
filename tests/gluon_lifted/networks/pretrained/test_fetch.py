"""Which file --weights names: caches first, then the first location that answers."""

import hashlib
from pathlib import Path

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.networks.pretrained import fetch as fetching
from gluon_lifted.networks.pretrained.fetch import fetch
from gluon_lifted.networks.pretrained.store import Stored
from gluon_lifted.published.caches import cached_path
from gluon_lifted.published.weights import HubFile, PublishedWeights, WebFile, evaluation
from tests.gluon_lifted.networks.pretrained.web_host import COMMIT, publish_on_hub

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BACKBONE = "resnet18_v1b"


def web_file(host, name="net", sha256=SHA256[:8]):
    return WebFile(f"{host.url}{name}-{sha256}.pth", sha256)


def published(*locations, library="torchvision"):
    return PublishedWeights(library, "resnet18.V1", evaluation(interpolation="bicubic"), locations)


@pytest.fixture
def known(monkeypatch):
    """Weights that the registry knows, in order; GluonCV's store has none."""
    listed = []
    monkeypatch.setattr(fetching, "first_weights", lambda _: listed)
    monkeypatch.setattr(fetching, "named_weights", lambda *_: listed[0])
    monkeypatch.setattr(fetching, "stored_weights", lambda _: None)
    return listed


def test_a_named_file_is_downloaded_into_torchs_cache_once(host, known, tmp_path):
    file, notes = web_file(host), []
    known.append(published(file))
    host.answers[f"/{file.name}"] = CONTENT
    for _ in range(2):
        fetched = fetch("torchvision:resnet18.V1", BACKBONE, notes.append)
    assert fetched.path == tmp_path / "TORCH_HOME" / "hub" / "checkpoints" / file.name
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.origin == file.url
    assert fetched.preprocessing.interpolation == "bicubic"
    assert notes == [f"downloading {file.url} (0 MB)"]
    assert len(host.asked) == 1


def test_a_file_that_torch_has_put_there_is_used_and_a_damaged_one_replaced(host, known, tmp_path):
    file = web_file(host)
    known.append(published(file))
    path = cached_path(file)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch("imagenet", BACKBONE, lambda _: None).path == path
    assert host.asked == []
    path.write_bytes(b"cut")
    host.answers[f"/{file.name}"] = CONTENT
    assert fetch("imagenet", BACKBONE, lambda _: None).path.read_bytes() == CONTENT


def test_a_cached_location_is_taken_before_another_is_asked(host, known):
    first, second = web_file(host, "first"), web_file(host, "second")
    known.append(published(first, second))
    cached_path(second).parent.mkdir(parents=True)
    cached_path(second).write_bytes(CONTENT)
    assert fetch("imagenet", BACKBONE, lambda _: None).origin == second.url
    assert host.asked == []


def test_imagenet_takes_the_first_that_answers(host, known):
    first, second, third = (web_file(host, name) for name in ("first", "second", "third"))
    known += [published(first, second), published(third, library="timm")]
    host.answers |= {f"/{second.name}": b"another", f"/{third.name}": CONTENT}
    notes = []
    assert fetch("imagenet", BACKBONE, notes.append).origin == third.url
    assert [note for note in notes if "trying" in note] == [
        f"{first.url}: the server answered 404 Not Found. Trying the next location.",
        f"torchvision:resnet18.V1: its SHA-256 begins with {hashlib.sha256(b'another').hexdigest()[:8]}; expected "
        f"{SHA256[:8]}. Trying the next source.",
    ]


def test_gluoncvs_store_is_the_last(host, known, monkeypatch, tmp_path):
    known.append(published(web_file(host)))
    monkeypatch.setattr(fetching, "stored_weights", lambda _: Stored("net", "sha1", "https://a.invalid/net.zip"))
    monkeypatch.setattr(fetching, "fetch_stored", lambda *_: tmp_path)
    assert fetch("imagenet", BACKBONE, lambda _: None) == (tmp_path, "https://a.invalid/net.zip", None)


def test_a_password_of_gluoncvs_store_is_not_shown(host, known, monkeypatch, tmp_path):
    store = Stored("net", "sha1", "http://me:secret@127.0.0.1:9/net.zip")
    monkeypatch.setattr(fetching, "stored_weights", lambda _: store)
    notes = []
    with pytest.raises(DataError) as caught:
        fetch("imagenet", BACKBONE, notes.append)
    assert "http://127.0.0.1:9/net.zip" in str(caught.value)
    assert "secret" not in str(caught.value) + str(notes)
    monkeypatch.setattr(fetching, "fetch_stored", lambda *_: tmp_path)
    assert fetch("imagenet", BACKBONE, notes.append).origin == "http://127.0.0.1:9/net.zip"


def test_if_none_answers_the_message_says_what_to_download_where(host, known, monkeypatch):
    file = web_file(host)
    known.append(published(HubFile("timm/resnet18.V1"), file))
    monkeypatch.setattr(fetching, "stored_weights", lambda _: Stored("net", "sha1", f"{host.url}net.zip"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        fetch("imagenet", BACKBONE, lambda _: None)
    assert str(caught.value) == (
        f"ImageNet weights of {BACKBONE}: cannot be downloaded (the environment variable HF_HUB_OFFLINE forbids "
        f"downloads). Download {file.url} on another host, and save it as {cached_path(file)}, or give it with "
        "--weights."
    )
    monkeypatch.delenv("HF_HUB_OFFLINE")
    host.answers[f"/{file.name}"] = b"x"
    known[:] = [published(file)]
    with pytest.raises(
        DataError, match=r"\(torchvision:resnet18.V1: its SHA-256 .*; GluonCV's store: .* 404 Not Found\)"
    ):
        fetch("imagenet", BACKBONE, lambda _: None)
    with pytest.raises(DataError, match=r"^torchvision:resnet18.V1: cannot be downloaded \(its SHA-256 begins with"):
        fetch("torchvision:resnet18.V1", BACKBONE, lambda _: None)


def test_backbones_that_nobody_has_weights_of(known):
    with pytest.raises(
        ConfigError, match=r"no ImageNet weights are known for hrnet_w18_c\. Give a file or hf://OWNER/NAME"
    ):
        fetch("imagenet", "hrnet_w18_c", lambda _: None)


def test_a_file_keeps_its_name_and_a_published_name_its_preprocessing():
    fetched = fetch("folder/resnet18-f37072fd.pth", BACKBONE, lambda _: None)
    assert (fetched.path, fetched.origin) == (Path("folder/resnet18-f37072fd.pth"), "folder/resnet18-f37072fd.pth")
    assert (fetched.preprocessing.resize, fetched.preprocessing.crop) == (256, 224)
    assert fetch("folder/mine.pth", BACKBONE, lambda _: None).preprocessing is None
    assert fetch("folder/resnet18-f37072fd.pth", "resnet50_v1b", lambda _: None).preprocessing is None


def test_the_hub_says_how_images_are_prepared(hub_host):
    publish_on_hub(hub_host, CONTENT)
    config = b'{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}}'
    publish_on_hub(hub_host, config, "config.json", etag="0" * 40)
    fetched = fetch("hf://timm/net.tag", BACKBONE, lambda _: None)
    assert fetched.origin == f"hf://timm/net.tag@{COMMIT}"
    assert (fetched.preprocessing.crop, fetched.preprocessing.std) == (64, (255, 255, 255))


def test_a_hub_that_lost_its_config_says_so(hub_host, monkeypatch):
    publish_on_hub(hub_host, CONTENT)
    notes = []
    fetch("hf://timm/net.tag", BACKBONE, lambda _: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch("hf://timm/net.tag", BACKBONE, notes.append).preprocessing is None
    assert (
        "config.json cannot be downloaded (the environment variable HF_HUB_OFFLINE forbids downloads), so" in notes[0]
    )
    with pytest.raises(
        DataError, match=r"^hf://a/b: cannot be downloaded .* Download https://huggingface.co/a/b/resolve"
    ):
        fetch("hf://a/b", BACKBONE, lambda _: None)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TORCH_HOME": "/t"}, "/t/hub/checkpoints/net-1.pth"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/torch/hub/checkpoints/net-1.pth"),
        ({"HOME": "/h"}, "/h/.cache/torch/hub/checkpoints/net-1.pth"),
    ],
)
def test_caches_are_torchs(monkeypatch, variables, expected):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cached_path(WebFile("https://a.invalid/net-1.pth", "1"))) == expected
