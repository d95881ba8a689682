"""Names with wildcards."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from serve_cli.sources.pattern import Pattern, matches
from serve_cli.sources.resolve import open_source
from tests.examples import examples
from tests.serve_cli.sources.tables.test_table import write as write_table
from tests.serve_cli.sources.test_resolve import ids, touch
from tests.serve_cli.sources.test_tar import write as write_tar

TREE = ["a", "b/a", "b/ab", "b/b/a", "ab/a/b/ab", "ab/b/b", "a.b/a", "a-b", "ab/a.b", "b/a-/a", "b/c/b/c/a"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    touch(root, *TREE)
    return root


parts = st.lists(
    st.sampled_from(["a", "b", "*", "?", "a*", "*b", "**", "[ab]", "[!a]*", "a?b", "ab"]), min_size=1, max_size=5
)


@examples(100)
@given(parts=parts)
def test_fits_what_the_standard_library_finds(tree: Path, parts: list[str]) -> None:
    found = set(glob.glob("/".join(parts), root_dir=tree, recursive=True))
    expected = sorted(name for name in found if (tree / name).is_file() and not name.endswith("/"))
    assert matches(Pattern(tree, tuple(parts))) == expected


@examples(100)
@given(parts=parts)
def test_store_gives_what_a_folder_does(tree: Path, parts: list[str]) -> None:
    upath = pytest.importorskip("upath", reason="needs universal-pathlib")
    store = upath.UPath("memory://tree")
    if not store.exists():
        for name in [*TREE, ".hidden/a", "b/.a"]:
            store.fs.pipe(f"/tree/{name}", b"")
    assert matches(Pattern(store, tuple(parts))) == matches(Pattern(tree, tuple(parts)))


def test_images_that_fit(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{kind}/{name}.jpg" for kind in ("b", "a-1", "a") for name in ("front-2", "front-1", "back")))
    touch(tmp_path, "front.jpg", "b/front.txt", "b/.front.jpg", ".git/front.jpg", "b/deep/front.PNG")
    (tmp_path / "b/front-3.jpg").mkdir()
    (tmp_path / "b/front-4.jpg").symlink_to("gone")
    source = open_source(tmp_path / "*/front*.jpg")
    names = ["a-1/front-1", "a-1/front-2", "a/front-1", "a/front-2", "b/front-1", "b/front-2", "b/front-4"]
    assert [row.id for row in source] == [f"{name}.jpg" for name in names]
    assert [row.path for row in source] == [tmp_path / f"{name}.jpg" for name in names]
    assert [row.label for row in source] == [name.split("/")[0] for name in names]
    assert source.root == f"{tmp_path}/*/front*.jpg"
    assert ids(tmp_path / "b/*") == ["back.jpg", "front-1.jpg", "front-2.jpg", "front-4.jpg"]
    assert ids(tmp_path / "**" / "front.*") == ["b/deep/front.PNG", "front.jpg"]
    assert {row.label for row in open_source(tmp_path / "**" / "front.*")} == {None}
    assert ids(tmp_path / "[ab]" / "**") == [name for name in ids(tmp_path) if name[:2] in ("a/", "b/")]


def test_relative_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "photos/1.jpg", "photos/2.png")
    monkeypatch.chdir(tmp_path)
    source = open_source("photos/*.jpg")
    assert (source.root, [row.path for row in source]) == (f"{tmp_path}/photos/*.jpg", [tmp_path / "photos/1.jpg"])


def test_name_that_exists_is_that_name(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].jpg", "a1.jpg", "what? [old]/cat/1.jpg", "what? [old]/dog/2.jpg", "what? o/cat/3.jpg")
    assert ids(tmp_path / "a[1].jpg") == ["a[1].jpg"]
    assert ids(tmp_path / "a[12].jpg") == ["a1.jpg"]
    assert ids(tmp_path / "what? [old]") == ["cat/1.jpg", "dog/2.jpg"]
    assert ids(tmp_path / "what? [old]" / "c*" / "*") == ["cat/1.jpg"]
    (tmp_path / "[shards]").mkdir()
    write_tar(tmp_path / "[shards]/x.tar", {"1.jpg": b"x"})
    assert ids(tmp_path / "[shards]") == ["x.tar/1.jpg"]


def test_folder_is_not_gone_into_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg")
    real, gone_into = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: (gone_into.append(os.path.relpath(path, tmp_path)), real(path))[1])
    assert ids(tmp_path / "c*" / "*") == ["cat/1.jpg"]
    assert gone_into == [".", "cat"]


def test_links_lead_never_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/here").symlink_to(".")
    assert ids(tmp_path / "**" / "*.jpg") == ["a/1.jpg"]


def test_shards_that_fit(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            write_tar(tmp_path / folder / f"{number}.tar", {f"{folder}{number}.jpg": b""})
    assert ids(tmp_path / "*/[1-9].tar") == ["x/1.tar/x1.jpg", "y/1.tar/y1.jpg"]
    assert open_source(tmp_path / "*/*.tar").count() == 4


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_manifests_that_fit_are_one(tmp_path: Path, kind: str) -> None:
    for number, folder in enumerate("ba"):
        (tmp_path / folder).mkdir()
        rows = [{"path": f"{folder}{row}.jpg", "label": folder, "price": str(number)} for row in range(2)]
        write_table(tmp_path / folder / f"m{kind}", [*rows, {"path": "/abs.jpg", "label": "", "price": ""}])
    source = open_source(tmp_path / f"*/*{kind}")
    rows = list(source)
    assert [row.id for row in rows] == ["a/a0.jpg", "a/a1.jpg", "/abs.jpg", "b/b0.jpg", "b/b1.jpg", "/abs.jpg"]
    assert [row.path for row in rows][2:4] == [Path("/abs.jpg"), tmp_path / "b/b0.jpg"]
    assert [row.label for row in rows] == ["a", "a", None, "b", "b", None]
    prices = [1, 1, None, 0, 0, None] if kind == ".csv" else ["1", "1", "", "0", "0", ""]
    assert [row.extra["price"] for row in rows] == prices
    assert (source.root, source.extra.names) == (f"{tmp_path}/*/*{kind}", ["price"])
    assert [row.id for row in source.names()] == [row.id for row in rows]


def test_rows_without_names_are_numbered_over_all_files(tmp_path: Path) -> None:
    for number in range(3):
        write_table(tmp_path / f"{number}.parquet", [{"bytes": b"x"}] * (number + 1))
    source = open_source(tmp_path / "*.parquet")
    assert [row.id for row in source] == [row.id for row in source.names()] == list("012345")
    assert [row.id for row in source.rows(2)] == list("2345")


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("b.csv", {"path": "x", "prise": "3"}, "only one of them has a column 'price'"),
        ("b.csv", {"path": "x", "price": "3", "more": "3"}, "only one of them has a column 'more'"),
        ("b.jsonl", {"path": "x"}, "only one of them has a column 'price'"),
        ("b.parquet", {"path": "x", "price": 3}, "column 'price' is string in one and int64 in the other"),
    ],
)
def test_columns_of_manifests_must_agree(tmp_path: Path, name: str, row: dict[str, object], message: str) -> None:
    kind = os.path.splitext(name)[1]
    write_table(tmp_path / f"a{kind}", [{"path": "x", "price": "3"}])
    write_table(tmp_path / name, [row])
    with pytest.raises(DataError, match=rf"a\{kind} and .*b\{kind}: {message}"):
        list(open_source(tmp_path / f"*{kind}"))


def test_order_of_columns_and_files_without_rows_do_not_matter(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", [{"path": "x", "price": "3"}])
    write_table(tmp_path / "b.csv", [{"price": "4", "path": "y"}])
    (tmp_path / "c.csv").write_text("price,path\n")
    (tmp_path / "d.csv").write_text("")
    assert [(row.id, row.extra) for row in open_source(tmp_path / "*.csv")] == [
        ("x", {"price": 3}),
        ("y", {"price": 4}),
    ]


def test_what_fits_nothing_usable(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "b.jsonl", "cat/.1.jpg")
    for name, message in [
        ("*.jpg", "no such file or folder, and as a pattern it matches no file below .*/test"),
        ("none/*.jpg", "matches no file below .*/none"),
        ("cat/*", "matches no file below .*/cat"),
        ("cat*", r"matches no file below .*add '/\*'"),
        ("a.csv/*", r"matches no file below .*/a\.csv"),
        ("*.*", r"none of the 2 matching files is an image; found \.csv \.jsonl\."),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            open_source(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_folder_of_tables_tells_how_to_name_them(tmp_path: Path) -> None:
    touch(tmp_path, "t/a.parquet")
    with pytest.raises(DataError, match=rf"It contains a\.parquet; .* give '{tmp_path}/t/\*\.parquet'"):
        open_source(tmp_path / "t")
    with pytest.raises(DataError, match=rf"It contains t/a\.parquet; .* give '{tmp_path}/\*\*/\*\.parquet'"):
        open_source(tmp_path)
