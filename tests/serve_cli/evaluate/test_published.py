"""Published rows: what must hold of any of them."""

import re

import pytest

from serve_cli.evaluate.published import ROWS, published_rows

DATASETS = ("cub200", "cars196", "sop")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_data_set_has_rows_of_its_own(dataset):
    rows = published_rows(dataset)
    assert len(rows) >= 4
    assert {row.dataset for row in rows} == {dataset}
    assert {"contrastive", "triplet", "lifted"} <= {row.method for row in rows}


def test_no_row_is_lost_or_double():
    assert sum(len(published_rows(dataset)) for dataset in DATASETS) == len(ROWS)
    keys = [(row.dataset, row.method, row.network, row.dim, row.source) for row in ROWS]
    assert len(set(keys)) == len(keys)
    assert published_rows("folder") == ()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.dataset}-{row.method}-{row.dim}")
def test_a_row_is_in_order(row):
    assert row.metrics
    assert all(re.fullmatch(r"R@[1-9]\d*|NMI \(geometric\)", name) for name in row.metrics)
    assert all(1 < value < 100 for value in row.metrics.values())  # percent, not shares
    recall = {int(name[2:]): value for name, value in row.metrics.items() if name.startswith("R@")}
    assert list(recall) == sorted(recall)
    assert list(recall.values()) == sorted(set(recall.values()))
    assert row.dim is None or row.dim >= 64
    assert row.unverified <= set(row.metrics)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.dataset}-{row.method}-{row.dim}")
def test_a_source_can_be_followed(row):
    assert re.search(r"(CVPR|ICCV|ECCV|ICML) 20\d\d|arXiv \d{4}\.\d{5}|github\.com/\w+/\w+", row.source)


def test_the_losses_have_the_names_that_training_takes():
    pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
    from gluon_lifted.losses.known_losses import LOSSES

    assert {row.method for row in ROWS} - {"n-pairs"} <= set(LOSSES)


def test_some_values_are_known_and_some_are_not():
    by_name = {(row.dataset, row.method, row.network): row for row in ROWS}
    assert not by_name["cub200", "lifted", "GoogLeNet"].unverified & {"R@1", "R@2", "R@4", "R@8"}
    assert "R@1" in by_name["cars196", "lifted", "GoogLeNet"].unverified
