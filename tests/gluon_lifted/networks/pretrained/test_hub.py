"""The hub's own client against a stand-in for the hub on this machine."""

import hashlib
import re
import sys

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.errors import ConfigError, DataError, MissingPackageError
from gluon_lifted.networks.pretrained import hub
from gluon_lifted.networks.pretrained.download import FAILURES, failure_reason
from gluon_lifted.published.weights import HubFile
from tests.gluon_lifted.networks.pretrained.web_host import COMMIT, publish_on_hub

CONTENT = b"safetensors" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = HubFile("timm/net.tag")


def test_a_file_is_downloaded_once(hub_host, capsys):
    publish_on_hub(hub_host, CONTENT)
    notes = []
    assert hub.cached_weights(FILE) is None
    first = hub.hub_weights(FILE, notes.append)
    asked = len(hub_host.asked)
    assert first.path.read_bytes() == CONTENT
    assert first.commit == COMMIT
    assert hub.hub_weights(FILE, notes.append) == first == hub.cached_weights(FILE)
    assert hub.cached_weights(FILE._replace(revision=COMMIT)) == first
    assert len(hub_host.asked) == asked
    assert notes == ["downloading hf://timm/net.tag (0 MB)"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("revision", [COMMIT, "v1.0"])
def test_a_revision_is_asked_for(hub_host, revision):
    publish_on_hub(hub_host, CONTENT, revision=revision)
    assert hub.hub_weights(FILE._replace(revision=revision), lambda _: None).commit == COMMIT
    assert not any("/main/" in path for path in hub_host.asked)


@pytest.mark.parametrize("known", [SHA256, None])
def test_another_content_than_its_hash_says_is_refused_and_removed(hub_host, known):
    publish_on_hub(hub_host, b"changed" * 100, etag=SHA256)
    with pytest.raises(FAILURES, match="its SHA-256 differs from the expected one"):
        hub.hub_weights(FILE._replace(sha256=known), lambda _: None)
    assert hub.cached_weights(FILE) is None
    publish_on_hub(hub_host, CONTENT)
    assert hub.hub_weights(FILE._replace(sha256=known), lambda _: None).path.read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_replaced(hub_host):
    publish_on_hub(hub_host, CONTENT)
    path = hub.hub_weights(FILE, lambda _: None).path
    path.resolve().write_bytes(b"cut")
    assert hub.hub_weights(FILE, lambda _: None).path.read_bytes() == CONTENT


def test_a_file_of_unknown_size_is_not_downloaded(hub_host):
    publish_on_hub(hub_host, CONTENT)
    for path, (status, headers, content) in hub_host.answers.items():
        hub_host.answers[path] = (status, headers | {"Content-Length": None}, content)
    with pytest.raises(FAILURES, match="the hub does not say how large the file is"):
        hub.hub_weights(FILE, lambda _: None)


def test_offline_only_the_cache_is_used(hub_host, monkeypatch):
    publish_on_hub(hub_host, CONTENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FAILURES, match="HF_HUB_OFFLINE forbids downloads"):
        hub.hub_weights(FILE, lambda _: None)
    assert hub_host.asked == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    fetched = hub.hub_weights(FILE, lambda _: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.hub_weights(FILE, lambda _: None) == fetched


def test_failures_are_those_of_downloads(hub_host, monkeypatch):
    with pytest.raises(FAILURES) as caught:
        hub.hub_weights(FILE, lambda _: None)
    assert "404" in failure_reason(caught.value)
    assert "\n" not in failure_reason(caught.value)
    publish_on_hub(hub_host, CONTENT)
    monkeypatch.setattr(hub.download, "MAX_FILE_BYTES", 1099)
    with pytest.raises(FAILURES, match="the file has 1,100 bytes, more than 1,099"):
        hub.hub_weights(FILE, lambda _: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FAILURES):
        hub.hub_weights(FILE, lambda _: None)


def test_a_repository_needs_no_config(hub_host):
    missing = (404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"")
    hub_host.answers["/timm/net.tag/resolve/main/config.json"] = missing
    assert hub.hub_config(FILE, lambda _: None) == {}


@pytest.mark.parametrize(
    ("content", "config"), [(b'{"architecture": "resnet50d"}', {"architecture": "resnet50d"}), (b"[1]", {})]
)
def test_config_is_json(hub_host, content, config):
    publish_on_hub(hub_host, content, "config.json", etag="0" * 40)
    assert hub.hub_config(FILE, lambda _: None) == config


def test_damaged_config_is_refused(hub_host):
    publish_on_hub(hub_host, b"<html>", "config.json", etag="0" * 40)
    with pytest.raises(DataError, match=r"^hf://timm/net.tag: config.json cannot be read as JSON"):
        hub.hub_config(FILE, lambda _: None)


def test_without_the_package_the_cache_is_empty_and_downloads_name_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert hub.cached_weights(FILE) is None
    with pytest.raises(MissingPackageError, match="pip install "):
        hub.hub_weights(FILE, lambda _: None)


def test_addresses():
    assert hub.hub_address("hf://timm/resnet50.a1_in1k") == HubFile("timm/resnet50.a1_in1k")
    assert hub.hub_address("hf://a/b@refs/pr/1") == HubFile("a/b", "refs/pr/1")
    assert hub.hub_address("hf://a-1/b_2.c@v1.0-rc--1") == HubFile("a-1/b_2.c", "v1.0-rc--1")


@pytest.mark.parametrize(
    "source",
    [
        "hf://", "hf://a", "hf://a/b/c", "hf://a/b@", "hf://a/b?x", "hf://../b c",
        "hf://../..", "hf://./b", "hf://a/..", "hf://a/b@../../c", "hf://a/b@/etc", "hf://a/b@c/.", "hf://a/b@c//d",
        "hf://a/b@c..d", "hf://a--b/c", "hf://a/b@c\n", "hf://\u00e4/b",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(source):
    with pytest.raises(
        ConfigError, match=re.escape(f"{source}: not an address of the Hugging Face hub; expected hf://OWNER/NAME")
    ):
        hub.hub_address(source)
