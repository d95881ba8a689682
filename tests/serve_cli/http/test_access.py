from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="the service needs the extra http")

from gluon_lifted.errors import ConfigError
from serve_cli.http.access import Access, add_security_headers, is_loopback
from serve_cli.http.errors import RequestError
from serve_cli.http.serve_options import ServeOptions

TOKENS = ("0123456789abcdef", "the other token of two")


@pytest.fixture
def guarded(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("\n".join([TOKENS[0], "", f"  {TOKENS[1]}  ", ""]))
    return Access(ServeOptions(source=tmp_path, token_file=file))


def scope(path="/embed", **headers):
    given = {"host": "localhost:8080", **headers}
    return {"path": path, "headers": [(name.encode(), value.encode()) for name, value in given.items()]}


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_each_token_opens_everything(guarded, token, scheme):
    for path in ("/embed", "/metrics", "/admin/reload", "/info"):
        guarded.check(scope(path, authorization=f"{scheme} {token}"))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcde",
        f"Basic {TOKENS[0]}",
        TOKENS[0],
        f"Bearer {TOKENS[0]}x",
        "Bearer é",
    ],
)
def test_other_tokens_open_nothing(guarded, authorization):
    for path in ("/embed", "/metrics", "/admin/reload", "//", "/live/", "/LIVE"):
        with pytest.raises(RequestError) as refused:
            guarded.check(scope(path, authorization=authorization))
        assert refused.value.status == 401
        assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


def test_probes_and_the_page_need_no_token(guarded):
    for path in ("/", "/live", "/ready", "/openapi.json", "/v2/health/ready"):
        guarded.check(scope(path))


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:9", "127.8.0.1", "[::1]:8080", "LOCALHOST"])
def test_a_loopback_server_answers_to_its_own_names(tmp_path, host):
    Access(ServeOptions(source=tmp_path)).check(scope(host=host))


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:8080", "", "127.0.0.1.example.org", "localhost.example.org", "[::2]"]
)
def test_a_loopback_server_does_not_answer_to_other_names(tmp_path, host):
    with pytest.raises(RequestError) as refused:
        Access(ServeOptions(source=tmp_path)).check(scope(host=host))
    assert refused.value.status == 403
    Access(ServeOptions(source=tmp_path, host="0.0.0.0")).check(scope(host=host))


def test_nobody_administers_a_server_without_tokens(tmp_path):
    with pytest.raises(RequestError, match="no tokens"):
        Access(ServeOptions(source=tmp_path)).check(scope("/admin/reload"))


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "no token"), (b"short\n", "5 characters"), (b"\xff\xfe", "cannot be read")]
)
def test_a_token_file_that_protects_nothing_is_refused(tmp_path, content, problem):
    file = tmp_path / "tokens"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as error:
        Access(ServeOptions(source=tmp_path, token_file=file))
    assert "short" not in str(error.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        Access(ServeOptions(source=tmp_path, token_file=tmp_path / "missing"))


def test_headers_of_an_endpoint_stay():
    headers = [(b"content-security-policy", b"its own"), (b"cache-control", b"private")]
    add_security_headers(headers)
    names = [name for name, _ in headers]
    assert len(names) == len(set(names))
    assert dict(headers)[b"content-security-policy"] == b"its own"


def test_loopback_addresses():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example.org")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
