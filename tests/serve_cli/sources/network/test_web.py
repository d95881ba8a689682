"""Sources on web servers, on loopback."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import DataError, ImageError, UnreachableError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.network import retry as network
from serve_cli.sources.network import web
from serve_cli.sources.network.circuit_breaker import FAILURES, CircuitBreaker
from serve_cli.sources.network.retry import RetryPolicy, time_limit
from serve_cli.sources.resolve import open_source
from tests.serve_cli.sources.test_tar import write as write_tar
from tests.serve_cli.web_server import WebServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("upath", reason="needs universal-pathlib")
pytest.importorskip("aiohttp", reason="needs aiohttp")

pytestmark = pytest.mark.slow

NAMES = ["cat/0.jpg", "dog/1.jpg", "eel/2.jpg"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "RETRY_POLICY", RetryPolicy(600, pause_s=0.01))
    monkeypatch.setattr(network, "BREAKER", CircuitBreaker())


@pytest.fixture(params=[True, False], ids=["parts", "whole"])
def server(request: pytest.FixtureRequest, album: Path) -> Iterator[WebServer]:
    with serving(album, ranges=request.param) as running:
        yield running


@pytest.fixture
def parts(album: Path) -> Iterator[WebServer]:
    with serving(album) as running:
        yield running


def test_lists_and_tables_on_any_server(server: WebServer, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_AHEAD", 50)
    (album / "list.txt").write_text("\n".join(NAMES))
    (album / "m.csv").write_text("\n".join(["path,label", *(f"{name},x" for name in NAMES)]))
    (album / "m.jsonl").write_text("".join(json.dumps({"path": f"{server.url}/{name}"}) + "\n" for name in NAMES))
    images = [(album / name).read_bytes() for name in NAMES]
    for source in ("list.txt", "m.csv", "m.jsonl"):
        rows = list(open_source(f"{server.url}/{source}"))
        assert [row.path for row in rows] == [f"{server.url}/{name}" for name in NAMES]
        assert [row.content() for row in rows if row.content] == images


def test_tar_and_parquet_where_parts_can_be_had(parts: WebServer, album: Path) -> None:
    images = {f"{number}.jpg": (album / name).read_bytes() for number, name in enumerate(NAMES)}
    write_tar(album / "s.tar", images)
    pq.write_table(pa.table({"bytes": list(images.values()), "path": list(images)}), album / "m.parquet")
    for source, ids in (("s.tar", [f"s.tar/{name}" for name in images]), ("m.parquet", list(images))):
        rows = list(open_source(f"{parts.url}/{source}"))
        assert [row.id for row in rows] == ids
        assert [row.content() for row in rows if row.content] == list(images.values())


@pytest.mark.parametrize("name", ["s.tar", "m.parquet"])
def test_tar_and_parquet_are_refused_where_only_whole_files_can_be_had(album: Path, name: str) -> None:
    write_tar(album / "s.tar", {"a.jpg": b"x"})
    pq.write_table(pa.table({"path": ["a.jpg"]}), album / "m.parquet")
    with serving(album, ranges=False) as server, pytest.raises(DataError, match=r"whole files only .* download it"):
        open_source(f"{server.url}/{name}")


def test_embeddings_are_those_of_the_files(server: WebServer, model: Path, album: Path, tmp_path: Path) -> None:
    (album / "list.txt").write_text("\n".join([*NAMES, "none.jpg"]))
    options = EmbedOptions(
        model=model, source=f"{server.url}/list.txt", out=tmp_path / "web", model_options=ModelOptions(batch_size=3)
    )
    report = embed_images(options)
    embed_images(
        EmbedOptions(
            model=model, source=album / "list.txt", out=tmp_path / "here", model_options=ModelOptions(batch_size=3)
        )
    )
    found, here = read_embeddings(tmp_path / "web"), read_embeddings(tmp_path / "here")
    assert (report.rows, report.failed) == (4, 1)
    assert f"{server.url}/none.jpg: cannot be read (the server answers 404" in str(found.errors[3])
    assert found.embedding[:3].tolist() == here.embedding[:3].tolist()
    assert embed_images(options).resumed == 4


def test_one_image(server: WebServer, album: Path) -> None:
    (row,) = open_source(f"{server.url}/{NAMES[0]}")
    assert row.content is not None
    assert row.content() == (album / NAMES[0]).read_bytes()


def test_names_are_links(parts: WebServer, album: Path) -> None:
    (album / "sub").mkdir()
    names = ["a b.jpg", "a#b.jpg", "a:b.jpg", "a%20b.jpg"]
    for name in (*names, "../top.jpg"):
        (album / "sub" / name).write_bytes(name.encode())
    (album / "sub" / "list.txt").write_text("\n".join([*names, "/top.jpg", "../top.jpg", "a b.jpg?size=big"]))
    rows = list(open_source(f"{parts.url}/sub/list.txt?key=a/b"))
    found = [row.content() for row in rows if row.content]
    assert found == [b"a b.jpg", b"a#b.jpg", b"a:b.jpg", b"a b.jpg", b"../top.jpg", b"../top.jpg", b"a b.jpg"]
    assert [row.id for row in rows][:2] == names[:2]


def test_what_a_url_asks_for_is_not_part_of_its_name(parts: WebServer, album: Path) -> None:
    write_tar(album / "s.tar", {"a.jpg": b"x"})
    (row,) = open_source(f"{parts.url}/s.tar?signature=a/b.c")
    assert (row.id, row.content and row.content()) == ("s.tar/a.jpg", b"x")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "web servers do not list folders"),
        ("cat", "web servers do not list folders"),
        ("cat/*.jpg", "web servers do not list folders"),
        ("none.csv", r"none\.csv: cannot be read \(the server answers 404"),
        ("none.tar", r"none\.tar: cannot be read \(the server answers 404"),
        ("empty.txt", r"empty\.txt: lists no images"),
    ],
)
def test_what_is_not_there_is_named(server: WebServer, album: Path, name: str, message: str) -> None:
    (album / "empty.txt").touch()
    with pytest.raises(DataError, match=message):
        open_source(f"{server.url}/{name}")


@pytest.mark.parametrize("status", [403, 404])
def test_refused_image_fails_at_once(server: WebServer, status: int) -> None:
    server.habits["/cat/0.jpg"] = [status]
    url = f"{server.url}/cat/0.jpg"
    with pytest.raises(ImageError, match=rf"{url}: cannot be read \(the server answers {status}"):
        read_image_bytes(url)
    assert len(server.asked) == 1


@pytest.mark.parametrize("habit", [500, 503, 429, "hangs up", "cuts off"])
def test_what_may_pass_is_tried_again(server: WebServer, album: Path, habit: str | int) -> None:
    server.habits["/cat/0.jpg"] = [habit, habit]
    assert read_image_bytes(f"{server.url}/cat/0.jpg") == (album / "cat/0.jpg").read_bytes()
    assert len(server.asked) == 3


def test_what_does_not_pass_fails_with_its_reason(server: WebServer) -> None:
    server.habits["/cat/0.jpg"] = [503] * 9
    with pytest.raises(ImageError, match="the server answers 503"):
        read_image_bytes(f"{server.url}/cat/0.jpg")
    assert len(server.asked) == 4
    server.habits["/cat/0.jpg"] = ["cuts off"] * 9
    with pytest.raises(ImageError, match="cannot be read"):
        read_image_bytes(f"{server.url}/cat/0.jpg")


def test_server_that_is_not_there(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        url = server.url
    with pytest.raises(ImageError, match=f"{url}/a.jpg: cannot be read .*[Cc]onnect"):
        read_image_bytes(f"{url}/a.jpg")
    with pytest.raises(DataError, match=f"{url}/list.txt: cannot be read .*[Cc]onnect"):
        open_source(f"{url}/list.txt")


def test_silent_server_is_not_waited_for(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SILENCE_S", 0.1)
    monkeypatch.setattr(web, "RETRY_POLICY", RetryPolicy(600, attempts=1))
    server.habits["/cat/0.jpg"] = ["falls silent"]
    with pytest.raises(ImageError, match=r"cannot be read .*[Tt]imeout"):
        read_image_bytes(f"{server.url}/cat/0.jpg")


def test_image_of_unknown_size(server: WebServer, album: Path) -> None:
    server.sizes = False
    assert read_image_bytes(f"{server.url}/cat/0.jpg") == (album / "cat/0.jpg").read_bytes()


@pytest.mark.parametrize("habit", ["never ends", "promises much", ""])
def test_no_more_is_taken_than_the_limit(server: WebServer, habit: str) -> None:
    server.habits["/cat/0.jpg"] = [habit]
    with pytest.raises(ImageError, match="bytes are more than the limit of 100"):
        read_image_bytes(f"{server.url}/cat/0.jpg", limit=100)
    assert len(server.asked) == 1


@pytest.mark.parametrize("habit", ["another part", "too much", "cuts off"])
def test_part_is_exactly_what_was_asked_for(parts: WebServer, album: Path, habit: str) -> None:
    (album / "s.tar").write_bytes(bytes(range(200)))
    url = f"{parts.url}/s.tar"
    assert read_image_bytes(url, 10, 20) == bytes(range(10, 30))
    assert read_image_bytes(url, 10, 0) == b""
    parts.habits["/s.tar"] = [habit] * 9
    with pytest.raises(ImageError, match=f"{url}: cannot be read"):
        read_image_bytes(url, 10, 20)
    parts.habits.clear()
    with pytest.raises(ImageError, match=r"cut off after 10 of 20 bytes"):
        read_image_bytes(url, 190, 20)
    with pytest.raises(ImageError, match="416"):
        read_image_bytes(url, 200, 20)
    parts.ranges = False
    for offset, size in ((10, 20), (100, 200), (0, 20)):
        with pytest.raises(ImageError, match="whole files only"):
            read_image_bytes(url, offset, size)


def test_table_is_read_on_when_the_server_stumbles(parts: WebServer, album: Path) -> None:
    images = [bytes([number]) * 1000 for number in range(20)]
    pq.write_table(pa.table({"bytes": images}), album / "m.parquet", row_group_size=5)
    source = open_source(f"{parts.url}/m.parquet")
    parts.habits["/m.parquet"] = [503, "cuts off", "hangs up"]
    assert [row.content() for row in source if row.content] == images
    parts.habits["/m.parquet"] = [404]
    with pytest.raises(DataError, match=r"m\.parquet: .*404"):
        list(source)


def read(url: str, seconds: float = 300) -> bytes:
    """As an image's row is read."""
    with time_limit(seconds):
        return read_image_bytes(url)


@pytest.mark.parametrize("habit", ["drips", "falls silent"])
def test_image_has_a_total_time(server: WebServer, habit: str) -> None:
    server.habits["/cat/0.jpg"] = [habit] * 9
    with pytest.raises(UnreachableError, match=r"not complete after 0\.2 s; --image-timeout"):
        read(f"{server.url}/cat/0.jpg", 0.2)
    assert len(server.asked) <= 1  # none, if the machine is busy


def test_time_is_that_of_all_an_image_needs(server: WebServer) -> None:
    with time_limit(0), pytest.raises(ImageError, match="not complete after 0 s"):
        read_image_bytes(f"{server.url}/cat/0.jpg")
    assert server.asked == []


def test_retry_after_is_obeyed(server: WebServer, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(web, "RETRY_POLICY", RetryPolicy(600, sleep=pauses.append, jitter=lambda low, high: low))
    server.habits["/cat/0.jpg"] = [(429, "7"), (503, "1"), 500, (503, "Wed, 01 Jan 1997 00:00:00 GMT")]
    assert read(f"{server.url}/cat/0.jpg") == (album / "cat/0.jpg").read_bytes()
    assert pauses == [7, 1, 0, 0]
    server.habits["/cat/0.jpg"] = [(429, "301")]
    with pytest.raises(ImageError, match="the server answers 429"):
        read(f"{server.url}/cat/0.jpg", 300)
    assert pauses == [7, 1, 0, 0]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried to be fetched: aiohttp asks a server that hangs up twice."""
    found: list[str] = []
    ask = web._ask

    async def noted(place: Any, part: range | None) -> Any:
        found.append(place.path)
        return await ask(place, part)

    monkeypatch.setattr(web, "_ask", noted)
    return found


def test_rows_of_a_host_that_is_down_fail_at_once(album: Path, tried: list[str]) -> None:
    with serving(album) as server:
        url = server.url
    errors = []
    for number in range(1000):
        with pytest.raises(UnreachableError) as caught:
            read(f"{url}/{number}.jpg")
        errors.append(str(caught.value))
    assert len(tried) == FAILURES
    assert "onnect" in errors[0]
    assert f"{url}/999.jpg: cannot be read ({url[7:]} is down: " in errors[999]
    assert "--retry-failed" in errors[999]
    with serving(album) as other:
        assert read(f"{other.url}/cat/0.jpg") == (album / "cat/0.jpg").read_bytes()


def test_host_that_is_back_is_found_out(album: Path, monkeypatch: pytest.MonkeyPatch, tried: list[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(network, "BREAKER", CircuitBreaker(failures=2, rest_s=30, clock=lambda: now[0]))
    with serving(album) as server:
        url = f"{server.url}/cat/0.jpg"
        server.habits["/cat/0.jpg"] = ["hangs up"] * 99
        for message in ("disconnected", "is down"):
            with pytest.raises(UnreachableError, match=message):
                read(url)
        assert len(tried) == 2
        for message in ("disconnected", "is down"):  # one attempt, and none
            now[0] += 30 if message == "disconnected" else 1
            with pytest.raises(UnreachableError, match=message):
                read(url)
        assert len(tried) == 3
        server.habits.clear()
        now[0] += 30
        assert read(url) == read(url) == (album / "cat/0.jpg").read_bytes()


@pytest.mark.parametrize("habit", [404, 403, 500, 503, 429])
def test_answers_do_not_count(server: WebServer, album: Path, habit: int) -> None:
    server.habits["/cat/0.jpg"] = [habit] * 100
    for _ in range(2 * FAILURES):
        with pytest.raises(ImageError, match=f"the server answers {habit}"):
            read(f"{server.url}/cat/0.jpg")
    assert read(f"{server.url}/cat/1.jpg") == (album / "cat/1.jpg").read_bytes()


def test_source_is_tried_though_its_host_counts_as_down(parts: WebServer, album: Path) -> None:
    (album / "list.txt").write_text("cat/0.jpg")
    for _ in range(FAILURES):
        network.BREAKER.failed(parts.url[7:])
    with pytest.raises(UnreachableError, match="is down"):
        read(f"{parts.url}/cat/0.jpg")
    assert len(list(open_source(f"{parts.url}/list.txt"))) == 1
    assert read(f"{parts.url}/cat/0.jpg") == (album / "cat/0.jpg").read_bytes()


def test_redirect_to_a_host_that_is_down_is_not_held_against_the_first(parts: WebServer, album: Path) -> None:
    with serving(album) as server:
        down = server.url
    parts.redirects["/moved.jpg"] = f"{down}/cat/0.jpg"
    parts.redirects["/here.jpg"] = f"{parts.url}/cat/0.jpg"
    for _ in range(2 * FAILURES):
        with pytest.raises(UnreachableError, match=r"[Cc]onnect"):
            read(f"{parts.url}/moved.jpg")
    assert read(f"{parts.url}/here.jpg") == (album / "cat/0.jpg").read_bytes()
    with pytest.raises(UnreachableError, match="is down"):
        read(f"{down}/cat/0.jpg")


def test_run_goes_on_when_a_host_goes_down(album: Path, model: Path, tmp_path: Path) -> None:
    with serving(album) as gone, serving(album) as here:
        urls = [f"{gone.url}/cat/{number}.jpg" for number in range(4)] + [f"{gone.url}/dog/0.jpg"] * 8
        (tmp_path / "list.txt").write_text("\n".join([*urls, f"{here.url}/eel/0.jpg"]))
        gone.habits["/dog/0.jpg"] = ["hangs up"] * 99
        for number in range(4):
            gone.habits[f"/cat/{number}.jpg"] = ["", *["hangs up"] * 99]  # there once, and not when it is read again
        report = embed_images(
            EmbedOptions(
                model=model,
                source=tmp_path / "list.txt",
                out=tmp_path / "out",
                model_options=ModelOptions(batch_size=1, threads=1),
            )
        )
    assert (report.rows, report.failed) == (13, 8)
    errors = read_embeddings(tmp_path / "out").errors
    assert [error is None for error in errors] == [True] * 4 + [False] * 8 + [True]
    assert "is down" in str(errors[11])


def test_what_is_asked_for_has_the_credentials(parts: WebServer, album: Path, tmp_path: Path) -> None:
    query = "id=7&X-Amz-Signature=a%2Bb%3D&sig=c d'e"
    url = f"{parts.url.replace('://', '://me:s%40cret@')}/cat/0.jpg?{query}"
    (tmp_path / "list.txt").write_text(f"{url}\n")
    (row,) = open_source(tmp_path / "list.txt")
    assert row.id == row.path == f"{parts.url}/cat/0.jpg?id=7"
    assert row.content
    assert row.content() == (album / "cat/0.jpg").read_bytes()
    asked, authorization = parts.authorized[-1]
    assert parse_qs(urlsplit(asked).query) == parse_qs(query)
    assert authorization == "Basic " + b64encode(b"me:s@cret").decode()


def test_link_beside_a_list_is_cut_too(parts: WebServer, album: Path) -> None:
    (album / "list.txt").write_text("cat/0.jpg?id=7&token=s3cret\n//[bad\ncat/1\t.jpg")
    first, bad, control = open_source(f"{parts.url}/list.txt?token=s3cret")
    assert (first.id, first.path) == ("cat/0.jpg?id=7", f"{parts.url}/cat/0.jpg?id=7")
    assert first.content
    assert first.content() == (album / "cat/0.jpg").read_bytes()
    assert parts.asked[-1][0] == "/cat/0.jpg?id=7&token=s3cret"
    for row in (bad, control):
        assert row.content
        with pytest.raises(ImageError, match="cannot be reached"):
            row.content()


def test_image_timeout_is_an_option(lifted: Any, parts: WebServer, album: Path, model: Path, tmp_path: Path) -> None:
    (album / "list.txt").write_text("cat/0.jpg\ncat/1.jpg")
    parts.habits["/cat/0.jpg"] = ["drips"] * 9
    command = ["embed", model, f"{parts.url}/list.txt", "--out", tmp_path / "out", "--image-timeout", 0.5]
    done, _, stderr = lifted(*command)
    assert done == 3
    assert "cat/0.jpg: cannot be read (not complete after 0.5 s; --image-timeout sets" in stderr
