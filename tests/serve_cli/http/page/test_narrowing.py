"""Filters, conditions, columns, and what the address holds."""

import pytest

from tests.serve_cli.http.page.gray_catalog import COUNT, row_id
from tests.serve_cli.http.page.watching import expect_ids, wait_for, wait_idle

pytestmark = pytest.mark.slow
FROM_ZERO = "#like=gray/00.png"


def rows(keep):
    return [row_id(row) for row in range(1, COUNT) if keep(row)][:30]


def test_filters_and_columns_and_the_address(open_page, catalog):
    page = open_page(FROM_ZERO)
    wait_idle(page)
    page.click("#filters-button")
    page.get_by_label("ev'en").check()
    expect_ids(page, rows(lambda row: row % 2 == 0))
    page.get_by_label("price, at least").fill("6")
    expect_ids(page, rows(lambda row: row % 2 == 0 and 1.5 * row >= 6))
    page.get_by_label("true").check()
    expected = rows(lambda row: row % 2 == 0 and 1.5 * row >= 6 and row < 25)
    expect_ids(page, expected)
    page.fill("#where", "price < 9 or price = 12")
    expected = [row_id(row) for row in (4, 8)]
    expect_ids(page, expected)
    assert page.locator("#filters-count").inner_text() == "4"
    page.click("#columns-button")
    page.locator("#columns").get_by_label("price").check()
    wait_for(page, "document.querySelector('.column')?.textContent === 'price 6'")
    assert catalog.requests[-1]["columns"] == ["price"]
    address = page.url
    again = open_page(address.removeprefix(catalog.url + "/"))
    expect_ids(again, expected)
    assert again.locator("#where").input_value() == "price < 9 or price = 12"
    assert again.get_by_label("ev'en").is_checked()
    assert again.get_by_label("price, at least").input_value() == "6"
    assert again.locator(".column").all_inner_texts() == ["price 6", "price 12"]
    again.click("#clear-filters")
    expect_ids(again, rows(lambda row: True))


def test_values_of_two_lines_do_not_overlap(open_page):
    page = open_page(FROM_ZERO)
    wait_idle(page)
    page.click("#filters-button")
    boxes = page.locator(".values .check").evaluate_all(
        """(labels) => {
          for (const label of labels) label.append(" of a name that is far too long for a single line".repeat(2));
          return labels.map((label) => [label.clientHeight, label.scrollHeight]);
        }"""
    )
    assert boxes
    assert [box for box in boxes if box[0] < box[1]] == []


def test_condition_that_is_wrong(open_page, catalog):
    page = open_page(FROM_ZERO + "&is.brand=odd", expected=[422])
    expect_ids(page, rows(lambda row: row % 2))
    page.click("#filters-button")
    page.fill("#where", "price < 9 and prise > 3")
    page.wait_for_selector("#where-problem mark")
    assert page.locator("#where-problem mark").inner_text() == "prise"
    assert page.locator("#where-problem code").inner_text() == "price < 9 and prise > 3"
    assert page.locator("#where-problem span").inner_text().startswith("column prise does not exist.")
    assert page.locator("#where").get_attribute("aria-invalid") == "true"
    page.fill("#where", "price < 9")
    expect_ids(page, [row_id(row) for row in (1, 3, 5)])
    assert page.locator("#where-problem").inner_text() == ""


def test_duplicates_and_more_results(open_page, catalog):
    page = open_page(FROM_ZERO)
    wait_idle(page)
    page.uncheck("#folds")
    wait_for(page, "location.hash.includes('folds=no')")
    page.click("#more")
    expect_ids(page, [row_id(row) for row in range(1, COUNT)])
    assert [(asked["unique"], asked["k"]) for asked in catalog.requests] == [(True, 30), (False, 30), (False, 60)]
    assert not page.locator("#more").is_visible()
    page.go_back()
    expect_ids(page, rows(lambda row: True))
    page.go_back()
    wait_for(page, "document.querySelector('#folds').checked")


def test_address_of_another_index(open_page, catalog):
    page = open_page(FROM_ZERO + "&show=nothing&is.nothing=x&min.nowhere=2")
    expect_ids(page, rows(lambda row: True))
    assert catalog.requests[-1]["columns"] == []
    assert catalog.requests[-1]["where"] is None


def test_hostile_address(open_page):
    page = open_page("#photo=__proto__")
    page.wait_for_selector("#problem p")
    assert "The photograph photograph is no longer in the memory" in page.locator("#problem").inner_text()
    page = open_page("#is.__proto__=x&min.price=no&k=1e9&within=-&constructor=1&show=&id=<img src=x onerror=alert(1)>")
    wait_for(page, "document.querySelector('#none').textContent === 'No image meets the condition.'")
    assert page.locator("#summary").inner_text() == "0 images whose id contains “<img src=x onerror=alert(1)>”"
