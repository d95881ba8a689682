import hashlib
import socket
import urllib.request

import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.networks.pretrained import download
from gluon_lifted.networks.pretrained.download import FAILURES, HttpsRedirects, failure_reason, matches

CONTENT = b"weights" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fetch(host, path, sha256=SHA256, notes=None):
    download.download(f"{host.url}w.pth", path, sha256, ([] if notes is None else notes).append)


def refusal(host, path):
    with pytest.raises(FAILURES) as caught:
        fetch(host, path)
    assert not path.parent.exists() or list(path.parent.iterdir()) == []
    return failure_reason(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "w.pth"


@pytest.mark.parametrize("digits", [8, 64])
def test_a_file_is_kept_once_its_hash_is_right(host, path, digits):
    host.answers["/w.pth"] = CONTENT
    notes = []
    fetch(host, path, SHA256[:digits], notes)
    assert path.read_bytes() == CONTENT
    assert notes == [f"downloading {host.url}w.pth (0 MB)"]
    assert matches(path, SHA256[:digits])
    assert not matches(path, "0" + SHA256[1:digits])
    assert not matches(path.with_name("other"), SHA256)
    assert matches(path, hashlib.sha1(CONTENT).hexdigest(), "sha1")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"other", f"its SHA-256 begins with {hashlib.sha256(b'other').hexdigest()}; expected {SHA256}"),
        ((404, {}, b""), "the server answered 404 Not Found"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"), "the server sent a web page instead"),
        ((200, {"Content-Length": "900"}, CONTENT), "the connection ended after 700 of 900 bytes"),
        ((200, {"Content-Length": str(3 << 30)}, b""), "the file has 3,221,225,472 bytes, more than 2,147,483,648"),
        (
            (302, {"Location": "http://127.0.0.1:9/secret?key=1"}, b""),
            "it redirects to http://127.0.0.1:9; expected https",
        ),
        ((302, {"Location": "file:///etc/passwd"}, b""), "not allowed"),
    ],
)
def test_anything_else_is_refused_and_not_kept(host, path, answer, reason):
    host.answers["/w.pth"] = answer
    assert reason in refusal(host, path)


def test_reasons_hold_no_credentials_and_no_control_characters(host, path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    host.answers["/w.pth"] = (302, {"Location": "http://me:secret@127.0.0.1:9/"}, b"")
    assert refusal(host, path) == "it redirects to http://127.0.0.1:9; expected https"
    error = OSError("\x1b[31m403 for https://cdn.invalid/a?X-Amz-Signature=ab12&x=1 with hf_abcdefgh\nmore")
    assert failure_reason(error) == "?[31m403 for https://cdn.invalid/a?x=1 with ***"


def test_an_endless_answer_is_cut_off(host, path, monkeypatch):
    host.answers["/w.pth"] = (200, {"Content-Length": "endless"}, CONTENT)
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 699)
    assert refusal(host, path) == "the server sent more than 699 bytes"


def test_redirects_to_https_are_followed():
    request = urllib.request.Request("https://a.invalid/w.pth")
    target = HttpsRedirects().redirect_request(request, None, 302, "Found", {}, "https://b.invalid/x?signature=1")
    assert target.full_url == "https://b.invalid/x?signature=1"


def test_a_silent_host_does_not_hang(path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FAILURES) as caught:
        download.download(f"http://127.0.0.1:{silent.getsockname()[1]}/w.pth", path, "", lambda _: None)
    assert "timed out" in failure_reason(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no-such-host.invalid/", "nonsense"])
def test_a_network_that_is_not_reachable(path, url):
    with pytest.raises(FAILURES):
        download.download(url, path, "", lambda _: None)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_asked(host, path, monkeypatch, name):
    host.answers["/w.pth"] = CONTENT
    monkeypatch.setenv(name, "1")
    assert refusal(host, path) == f"{name} forbids downloads"
    assert host.asked == []


def test_long_downloads_report_progress(host, path, monkeypatch):
    host.answers["/w.pth"] = CONTENT
    monkeypatch.setattr(download, "NOTE_EVERY", -1)
    notes = []
    fetch(host, path, notes=notes)
    assert notes[1:] == ["fetched 0 of 0 MB"]
