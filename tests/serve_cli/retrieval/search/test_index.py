"""`Index`: photographs to rows, from Python."""

import shutil

import numpy as np
import pytest
from PIL import Image

from gluon_lifted.errors import RunError
from serve_cli import Index
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.retrieval.index.build import build_index


@pytest.fixture(scope="module")
def index(shop):
    with Index.open(shop.index) as opened:
        yield opened


def plain_order(index, query):
    """Rows by distance, by plain loops."""
    vectors = index.catalog.vectors(np.arange(8)).tolist()
    return sorted(range(8), key=lambda row: sum((a - b) ** 2 for a, b in zip(vectors[row], query, strict=True)))


def test_a_photograph_finds_itself_and_its_copy(shop, index):
    (matches,) = index.search([shop.photos / "0.png"], k=8)
    order = plain_order(index, index.catalog.vectors(np.array([0]))[0].tolist())
    assert sorted(matches.rows[:2]) == [0, 6]
    assert list(matches.rows[2:]) == order[2:]
    assert matches.paths[2] == str(shop.photos / f"{order[2]}.png")
    assert matches.distances[0] == pytest.approx(0, abs=1e-4)


def test_paths_bytes_and_images_are_the_same_queries(shop, index):
    file = shop.photos / "3.png"
    with Image.open(file) as image:
        results = index.search([file, file.read_bytes(), image, shop.photos / "none.png"], k=4)
    assert [list(matches.rows) for matches in results] == [list(results[0].rows)] * 3 + [[]]
    assert "No such file" in results[3].error


def test_options_reach_the_search(shop, index):
    (matches,) = index.search(
        [shop.photos / "0.png"], k=9, where="price >= 1 and brand = 'a'", columns=["price"], max_distance=1e9
    )
    assert sorted(match.columns["price"] for match in matches) == [1, 3]
    (matches,) = index.search([shop.photos / "0.png"], k=9, unique=True)
    assert len(matches) == 6
    assert index.search([shop.photos / "0.png"], max_distance=0.5)[0].ids[:2] == ["photos/0.png", "photos/6.png"]


def test_prices_of_a_csv_catalog_are_numbers(shop, tmp_path):
    lines = [f"{shop.photos / str(number)}.png,{'' if number == 2 else 9 + number}" for number in range(8)]
    (tmp_path / "shop.csv").write_text("\n".join(["path,price", *lines]))
    embed_images(EmbedOptions(model=shop.model, source=tmp_path / "shop.csv", out=tmp_path / "embeddings"))
    build_index(tmp_path / "embeddings", tmp_path / "i")
    with Index.open(tmp_path / "i") as opened:
        (matches,) = opened.search([shop.photos / "0.png"], k=9, where="price < 13", columns=["price"])
    assert sorted(match.columns["price"] for match in matches) == [9, 10, 12]  # as text, 9 would follow 13


def test_several_photographs_as_one_query(shop, index):
    photos = [shop.photos / "0.png", shop.photos / "3.png", shop.photos / "5.png"]
    vectors = index.catalog.vectors(np.arange(8)).astype(float)
    (matches,) = index.search(photos, k=8, combine=True)
    assert list(matches.rows) == plain_order(index, (vectors[[0, 3, 5]].sum(axis=0) / 3).tolist())
    (matches,) = index.search(photos, k=8, without=[shop.photos / "4.png"])
    assert list(matches.rows) == plain_order(index, (vectors[[0, 3, 5]].sum(axis=0) / 3 - vectors[4]).tolist())


def test_rows_of_the_index(index):
    first, second = index.search_ids(["photos/0.png", "photos/1.png"], k=1)
    assert (first.ids, second.ids) == (["photos/6.png"], ["photos/7.png"])
    (with_self,) = index.search_ids(["photos/0.png"], k=1, include_self=True)
    assert with_self.ids == ["photos/0.png"]


def test_a_model_that_has_moved(shop, tmp_path):
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(shop.model.read_bytes())
    with Index.open(shop.index, model=moved) as index:
        assert index.search([shop.photos / "0.png"], k=1)[0].distances[0] < 1e-4


@pytest.mark.parametrize("name", ["index.json", "segment-000001/rows.arrow", "segment-000001/vectors.npy"])
def test_a_damaged_index_is_refused(shop, tmp_path, name):
    shutil.copytree(shop.index, tmp_path / "copy.index")
    path = tmp_path / "copy.index" / name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RunError, match="build the index again"), Index.open(tmp_path / "copy.index") as index:
        index.search_ids(["photos/0.png"])
