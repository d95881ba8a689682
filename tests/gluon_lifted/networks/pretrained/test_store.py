import hashlib
import io
import struct
import zipfile

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import gluoncv_zoo
from gluon_lifted.networks.pretrained import store
from gluon_lifted.networks.pretrained.download import FAILURES, failure_reason

BACKBONE, NETWORK = "googlenet_bn", "googlenet"


@pytest.fixture
def gluoncv_host(host, monkeypatch):
    monkeypatch.setenv("MXNET_GLUON_REPO", host.url)
    return host


def publish(host, monkeypatch, content):
    """Put ``content`` into the store as the .params of `NETWORK`; return its file's name."""
    monkeypatch.setitem(gluoncv_zoo().model_store._model_sha1, NETWORK, hashlib.sha1(content).hexdigest())
    name = f"{NETWORK}-{hashlib.sha1(content).hexdigest()[:8]}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.params", content)
    host.answers[f"/gluon/models/{name}.zip"] = buffer.getvalue()
    return f"{name}.params"


def fetch():
    return store.fetch_stored(store.stored_weights(BACKBONE), lambda _: None)


def refusal():
    with pytest.raises(FAILURES) as caught:
        fetch()
    return failure_reason(caught.value)


def test_weights_come_from_the_store_once(tmp_path, gluoncv_host, monkeypatch):
    name = publish(gluoncv_host, monkeypatch, b"content")
    for _ in range(2):
        assert fetch() == tmp_path / "MXNET_HOME" / "models" / name
    assert len(gluoncv_host.asked) == 1
    assert [path.name for path in (tmp_path / "MXNET_HOME" / "models").iterdir()] == [name]


def test_cached_file_that_was_cut_off_is_fetched_again(tmp_path, gluoncv_host, monkeypatch):
    name = publish(gluoncv_host, monkeypatch, b"content")
    folder = tmp_path / "MXNET_HOME" / "models"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"cont")
    assert fetch().read_bytes() == b"content"


def cut_off(content):
    """Return an archive whose only member says that it has more bytes than there are."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = archive.infolist()[0]
    sizes = struct.pack("<II", member.compress_size, member.file_size)
    return content.replace(sizes, struct.pack("<II", member.compress_size + 1000, member.file_size + 1000))


def test_wrong_content_is_refused_and_not_kept(tmp_path, gluoncv_host, monkeypatch):
    name = publish(gluoncv_host, monkeypatch, b"content")
    path = next(iter(gluoncv_host.answers))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr(name, b"changed")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for content, reason in [
        (other.getvalue(), "its SHA-1 differs from the store's"),
        (empty.getvalue(), "There is no item named"),
        (cut_off(other.getvalue()), "EOFError"),
        (b"<html>", "File is not a zip file"),
        (gluoncv_host.answers[path][:-30], "File is not a zip file"),
        ((404, {}, b""), "Not Found"),
    ]:
        gluoncv_host.answers[path] = content
        assert reason in refusal()
        assert list((tmp_path / "MXNET_HOME" / "models").iterdir()) == []


def test_too_large_a_file_in_the_archive_is_refused(gluoncv_host, monkeypatch):
    publish(gluoncv_host, monkeypatch, bytes(1000))
    monkeypatch.setattr(store, "MAX_FILE_BYTES", 999)
    assert "the file has 1,000 bytes" in refusal()


def test_folder_that_cannot_be_made(tmp_path, gluoncv_host, monkeypatch):
    (tmp_path / "MXNET_HOME").write_text("a file")
    assert "Not a directory" in refusal()


@pytest.mark.parametrize("backbone", ["googlenet", "hrnet_w18_c", "cifar_resnet20_v1"])
def test_backbones_without_imagenet_weights(backbone):
    assert store.stored_weights(backbone) is None


def test_pruned_networks_have_another_name_in_the_store():
    assert store.stored_weights("resnet50_v1d_0.11").name.startswith("resnet50_v1d_8.8x-")
    assert store.stored_weights("resnet18_v1b").url.startswith("https://apache-mxnet.s3")
