import hashlib
import http.server
import io
import socket
import threading
import zipfile

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.mx import (
    gluoncv_network,
    gluoncv_zoo,
    mx,
    nd,
)
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained import store
from gluon_lifted.networks.pretrained.load_weights import load_weights

BACKBONE, NETWORK = "googlenet_bn", "googlenet"


class Host:
    """A model store on this machine: serves ``answers``, by path."""

    def __init__(self):
        self.answers, self.asked = {}, []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.asked.append(self.path)
                content = host.answers.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def host(tmp_path, monkeypatch):
    with Host() as server:
        monkeypatch.setenv("MXNET_GLUON_REPO", server.url)
        monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def publish(host, monkeypatch, content):
    """Put ``content`` into the store as the .params of `NETWORK`; return its file's name."""
    monkeypatch.setitem(gluoncv_zoo().model_store._model_sha1, NETWORK, hashlib.sha1(content).hexdigest())
    name = f"{NETWORK}-{hashlib.sha1(content).hexdigest()[:8]}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.params", content)
    host.answers[f"/gluon/models/{name}.zip"] = buffer.getvalue()
    return f"{name}.params"


def fetch(backbone=BACKBONE):
    return store.fetch_imagenet(backbone, lambda _: None)


@pytest.mark.slow
def test_imagenet_weights_come_from_gluoncvs_store_once(tmp_path, host, monkeypatch, capsys):
    classifier = gluoncv_network(NETWORK)
    classifier.initialize(mx.init.Xavier())
    classifier(nd.zeros((1, 3, 224, 224)))
    classifier.save_parameters(str(tmp_path / "g.params"))
    name = publish(host, monkeypatch, (tmp_path / "g.params").read_bytes())
    net = EmbeddingNet(build_backbone(BACKBONE, 224), 4)
    net.initialize(backbone_initializer())
    notes = []
    for _ in range(2):
        report = load_weights(net, "imagenet", BACKBONE, notes.append)
    assert notes == [f"fetching {host.url}gluon/models/{name.removesuffix('params')}zip"]
    assert len(host.asked) == 1
    assert (report.source, report.format, report.colors) == ("imagenet", "params", "imagenet")
    assert report.skipped == ("head.2.bias", "head.2.weight", "output.bias", "output.weight")  # one layer, two names
    images = nd.random.normal(shape=(1, 3, 224, 224))
    logits = classifier.output(net.backbone(images)).asnumpy()
    np.testing.assert_allclose(logits, classifier(images).asnumpy(), rtol=1e-4, atol=1e-5)
    assert capsys.readouterr().out == ""
    assert [path.name for path in (tmp_path / "home" / "models").iterdir()] == [name]


def test_cached_file_that_was_cut_off_is_fetched_again(tmp_path, host, monkeypatch):
    name = publish(host, monkeypatch, b"content")
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models" / name).write_bytes(b"cont")
    assert fetch().read_bytes() == b"content"


def refusal(host):
    with pytest.raises(DataError) as caught:
        fetch()
    message = str(caught.value)
    assert message.startswith("ImageNet weights of googlenet_bn cannot be fetched (")
    assert message.endswith(".zip elsewhere and give its .params file with --weights.")
    return message


def test_wrong_content_is_refused_and_not_kept(tmp_path, host, monkeypatch):
    name = publish(host, monkeypatch, b"content")
    path = next(iter(host.answers))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr(name, b"changed")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for content, reason in [
        (other.getvalue(), "its SHA-1 is not the store's"),
        (empty.getvalue(), "There is no item named"),
        (b"<html>", "File is not a zip file"),
        (host.answers[path][:-30], "File is not a zip file"),
        (None, "Not Found"),
    ]:
        host.answers[path] = content
        assert reason in refusal(host)
        assert list((tmp_path / "home" / "models").iterdir()) == []


def test_too_large_an_answer_is_cut_off(tmp_path, host, monkeypatch):
    publish(host, monkeypatch, bytes(1000))
    monkeypatch.setattr(store, "MAX_FILE_BYTES", 999)
    assert "the file has 1,000 bytes" in refusal(host)
    monkeypatch.setattr(store, "MAX_FILE_BYTES", 99)
    assert "sent more than 99 bytes" in refusal(host)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no-such-host.invalid/", "nonsense"])
def test_network_that_is_not_reachable(host, monkeypatch, url):
    monkeypatch.setenv("MXNET_GLUON_REPO", url)
    refusal(host)


def test_host_that_says_nothing_does_not_hang(host, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(store, "TIMEOUT", 0.2)
        assert "timed out" in refusal(host)


def test_folder_that_cannot_be_made(tmp_path, host, monkeypatch):
    (tmp_path / "home").write_text("a file")
    assert "Not a directory" in refusal(host)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("googlenet", "no ImageNet weights of googlenet in GluonCV's store; give bvlc_googlenet.caffemodel"),
        ("hrnet_w18_c", "no ImageNet weights of hrnet_w18_c in GluonCV's store; give a file with --weights"),
        ("cifar_resnet20_v1", "no ImageNet weights of cifar_resnet20_v1"),
    ],
)
def test_backbones_without_imagenet_weights(backbone, message):
    with pytest.raises(ConfigError, match=message):
        fetch(backbone)


def test_pruned_networks_have_another_name_in_the_store():
    assert store._stored("resnet50_v1d_0.11").name.startswith("resnet50_v1d_8.8x-")
    assert store._stored("resnet18_v1b").url.startswith("https://apache-mxnet.s3")
