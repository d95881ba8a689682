"""Credentials are removed from URLs; what distinguishes objects stays."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError, ImageError
from gluon_lifted.redaction import (
    reason_without_credentials,
    reference_without_credentials,
    url_without_credentials,
    value_without_credentials,
    without_credentials,
)
from tests.examples import examples

AWS_V4 = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20250101%2Fus-east-1%2Fs3%2Faws4_request&"
    "X-Amz-Date=20250101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Security-Token=Fwo%2F&"
    "X-Amz-Signature=0a1b"
)
GOOGLE_V4 = AWS_V4.replace("X-Amz", "X-Goog").replace("AWS4-HMAC-SHA256", "GOOG4-RSA-SHA256")
AZURE = "sv=2022-11-02&ss=b&srt=co&sp=r&st=2025-01-01&se=2025-02-01&spr=https&sip=1.2.3.4&sr=b&sig=a%2Bb%3D"
CLOUDFRONT = "Expires=1767225600&Policy=eyJ_&Signature=a~b-_&Key-Pair-Id=K2JCJMDEHXQW5F"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/a.jpg", "https://host/a.jpg"),
        ("https://host/a.jpg?id=17&size=big#top", "https://host/a.jpg?id=17&size=big#top"),
        ("https://host/a.jpg?Expires=17&sort_key=price&keyword=x&tokenizer=y", None),
        ("http://[::1]:80/a@2x.jpg", None),
        ("http://host:80/@me/a.jpg", None),
        ("https://host/?key=photos/1.jpg", None),
        ("s3://bucket/a@2x.jpg?versionId=3", None),
        ("abfs://container@account.dfs.core.windows.net/a.jpg", None),
        ("/photos/a?token=b@c.jpg", None),
        ("https://me:secret@host/a.jpg", "https://host/a.jpg"),
        ("https://secret@host/a.jpg", "https://host/a.jpg"),
        ("https://me:p@ss@host:8080/a.jpg", "https://host:8080/a.jpg"),
        ("https://me:p%40ss@[::ffff:1]/a.jpg", "https://[::ffff:1]/a.jpg"),
        ("s3://KEY:SEC/RET+x@bucket/a.jpg", "s3://bucket/a.jpg"),
        ("https://me:pa#ss?wo/rd@host/a.jpg", "https://host/a.jpg"),
        ("https:/me:secret@host/a.jpg", "https:/host/a.jpg"),
        ("htp://me:secret@host/a.jpg", "htp://host/a.jpg"),
        ("simplecache::https://me:secret@host/a.jpg", "simplecache::https://host/a.jpg"),
        ("zip://a.jpg::https://me:secret@host/a.zip?token=x", "zip://a.jpg::https://host/a.zip"),
        (f"https://bucket.s3.amazonaws.com/a.jpg?{AWS_V4}&versionId=3", "https://bucket.s3.amazonaws.com/a.jpg?versionId=3"),
        ("https://b.s3.amazonaws.com/a.jpg?AWSAccessKeyId=A&Expires=1&Signature=b", "https://b.s3.amazonaws.com/a.jpg"),
        (f"https://storage.googleapis.com/b/a.jpg?{GOOGLE_V4}", "https://storage.googleapis.com/b/a.jpg"),
        ("https://storage.googleapis.com/b/a?GoogleAccessId=a@b&Expires=1&Signature=b&generation=4", "https://storage.googleapis.com/b/a?generation=4"),
        (f"https://a.blob.core.windows.net/c/a.jpg?{AZURE}", "https://a.blob.core.windows.net/c/a.jpg"),
        (f"https://d1.cloudfront.net/a.jpg?w=3&{CLOUDFRONT}", "https://d1.cloudfront.net/a.jpg?w=3"),
        ("https://host/a?x%2Damz%2Dsignature=a&X-AMZ-DATE=1&id=3", "https://host/a?id=3"),
        ("https://host/a?apiKey=a&api_key=b&accessToken=c&access-token=d&KEY=e&pwd=f&id=3", "https://host/a?id=3"),
        ("https://host/a?id=3&token=a=b;c#d?e", "https://host/a?id=3"),
        ("https://host/a?id=3;token=a;b", "https://host/a?id=3"),
        ("https://host/a#access_token=a&id=3", "https://host/a#id=3"),
        ("https://host/a.jpg;jsessionid=AB?id=3", "https://host/a.jpg?id=3"),
        ("https://host/?url=https://me:secret@other/x?sig=a&w=1", "https://host/?url=https://other/x&w=1"),
        ("https://host/?url=https%3A%2F%2Fme%3Asecret%40other%2Fx%3Fsig%3Da&w=1", "https://host/?url=https%3A%2F%2Fother%2Fx&w=1"),
    ],
)  # fmt: skip
def test_what_is_cut_and_what_stays(url: str, expected: str | None) -> None:
    expected = url if expected is None else expected
    assert url_without_credentials(url) == expected
    assert without_credentials(url) == expected
    assert without_credentials(f"({url}): not read, or '{url}'.") == f"({expected}): not read, or '{expected}'."


def test_same_object_has_one_name_however_often_it_is_signed() -> None:
    again = AWS_V4.replace("20250101", "20250202").replace("0a1b", "ffff").replace("AKIA", "ASIA")
    urls = [f"https://b.s3.amazonaws.com/a.jpg?id=7&{query}" for query in (AWS_V4, again)]
    assert url_without_credentials(urls[0]) == url_without_credentials(urls[1]) == urls[0].split("&")[0]


def test_text_without_urls_is_the_same() -> None:
    text = "key=1&token=2, me@host, c:/me@x and a:b@c"
    assert without_credentials(text) is text


SECRET = st.text(string.ascii_letters + string.digits + "+/=-_.~!$*", min_size=8).map(lambda text: f"S3CR{text}T")
NAMES = st.sampled_from(
    "X-Amz-Signature X-Amz-Credential X-Amz-Security-Token X-Goog-Signature X-Goog-Credential sig Signature Policy "
    "token access_token api_key apikey key Key-Pair-Id password client_secret auth AWSAccessKeyId GoogleAccessId "
    "sessionToken X-API-Key subscription-key".split()
)
PLAIN = st.sampled_from(["id=17", "w=200&h=100", "name=a@b", "q=%C3%BC", "path=/a:b", "", "flag"])
SCHEMES = st.sampled_from(["https", "http", "s3", "gs", "htp", "ftp", "simplecache::https", "HTTPS"])


@st.composite
def urls_with_secrets(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A URL, and the parts of it that must not be seen."""
    secrets, url = [], draw(SCHEMES) + "://"
    if draw(st.booleans()):
        secrets.append(draw(SECRET))
        url += draw(st.sampled_from(["", "me:", "me%40x:"])) + quote(secrets[0], safe="+=-_.~!$*@") + "@"
    url += draw(st.sampled_from(["host", "host:8080", "[::1]", "127.0.0.1:1"])) + draw(
        st.sampled_from(["/a.jpg", "/@me/a.jpg", "/a b.jpg".replace(" ", "%20"), ""])
    )
    parameters = draw(st.lists(st.one_of(PLAIN, st.tuples(NAMES, SECRET)), max_size=5))
    written = []
    for parameter in parameters:
        if isinstance(parameter, str):
            written.append(parameter)
        else:
            secrets.append(parameter[1])
            value = quote(parameter[1], safe="") if draw(st.booleans()) else parameter[1]
            written.append(f"{parameter[0]}={value}")
    signature = "Signature=x" if any(piece.startswith("Policy=") for piece in written) else "end=1"
    return url + "?" + "&".join([*written, signature]), secrets


@examples(100)
@given(urls_with_secrets(), st.sampled_from(["{}", "{}: gone.", "URL('{}')", '<a href="{}">', "({})"]))
def test_no_secret_is_left(actual: tuple[str, list[str]], sentence: str) -> None:
    url, secrets = actual
    written = [form for secret in secrets for form in (secret, quote(secret, safe=""))]
    nested = f"https://host/?url={quote(url, safe='')}&next={quote(quote(url, safe=''), safe='')}"
    carried = {"a": [url], "b": {"c": (url, None)}, "d": json.dumps({"url": url})}
    for text in (
        url_without_credentials(url),
        without_credentials(sentence.format(url)),
        str(DataError(sentence.format(url))),
        url_without_credentials(nested),
        str(value_without_credentials(carried)),
        reason_without_credentials(f"no {' '.join(written)} at {url}", url),
    ):
        assert "S3CR" not in text
    assert "S3CR" not in reference_without_credentials("a.jpg?" + url.split("?", 1)[1])
    once = url_without_credentials(url)
    assert url_without_credentials(once) == once


@examples(100)
@given(st.text("ab:/?#&;=@[]%. '\"tokensig", max_size=60))
def test_any_text_is_taken_and_loses_nothing_twice(text: str) -> None:
    once = without_credentials(text)
    assert without_credentials(once) == once
    assert isinstance(url_without_credentials(text), str)


@pytest.mark.parametrize(
    "text", ["aa:/" * 20_000, "aa://:" * 20_000 + "@", "aa:/?" + ";" * 100_000, "a" * 10**6 + ":/"]
)
def test_hostile_text_is_gone_through_once(text: str) -> None:
    without_credentials(text)  # a quadratic search would run into the suite's time limit


def test_errors_hold_no_credentials() -> None:
    error = ImageError("https://me:secret@host/a.jpg?sig=abc: cannot be read (no).")
    assert str(error) == "https://host/a.jpg: cannot be read (no)."
    assert repr(error).count("secret") == 0


def test_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    said = "key wJalrXUtnFEMI of eu-central-1: AWS4-HMAC-SHA256 Credential=AKIA/2025, Signature=ab12"
    expected = "key *** of eu-central-1: AWS4-HMAC-SHA256 Credential=***, Signature=***"
    assert reason_without_credentials(said, "s3://bucket/a.jpg") == expected


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_tokens_of_the_hub(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "hf_abcdefgh")
    said = "Illegal header value b'Bearer hf_abcdefgh\\n'"
    assert reason_without_credentials(said, "") == "Illegal header value b'Bearer ***\\n'"


def test_carried_values_of_other_types_are_the_same() -> None:
    numbers = [0.5] * 3
    row = {"a": numbers, "b": None, "c": b"https://me:x@host", "d": [None, "https://me:x@host"], "e": ()}
    actual = value_without_credentials(row)
    assert actual == {**row, "d": [None, "https://host"]}
    assert actual["a"] is numbers
