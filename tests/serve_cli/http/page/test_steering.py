"""Searching on from results: by click, by keyboard, by id, and back."""

import pytest

from tests.serve_cli.http.page.gray_catalog import STEP, distance, nearest_ids, row_id
from tests.serve_cli.http.page.watching import expect_ids, shown_ids, tile, wait_for, wait_idle

pytestmark = pytest.mark.slow
TYPE = """(text) => {
  const field = document.querySelector('#text');
  for (const character of text) {
    field.value += character;
    field.dispatchEvent(new Event('input'));
  }
}"""
FOCUSED = "document.activeElement.closest('.tile')?.dataset.id"


def neighbors(*rows, count=30, less=()):
    level = STEP * sum(rows) / len(rows) * (2 if less else 1) - (STEP * sum(less) / len(less) if less else 0)
    return nearest_ids(level, count, leave_out=rows)


def like(*rows):
    return "#" + "&".join(f"like=gray/{row:02d}.png" for row in rows)


def test_click_then_more_and_less_then_back(open_page, catalog):
    page = open_page(like(5))
    expect_ids(page, neighbors(5))
    tile(page, row_id(8)).locator(".picture").click()
    expect_ids(page, neighbors(8))
    tile(page, row_id(10)).locator(".picture").click(modifiers=["Shift"])
    expect_ids(page, neighbors(8, 10))
    assert page.locator("#terms li:not(.add)").count() == 2
    tile(page, row_id(7)).locator(".picture").click(modifiers=["Alt"])
    expect_ids(page, nearest_ids(STEP * (9 - 7), leave_out=(8, 10)))
    assert [query["weight"] for query in catalog.requests[-1]["queries"]] == [1, 1, -1]
    asked = len(catalog.requests)
    for rows in ((8, 10), (8,), (5,)):
        page.go_back()
        expect_ids(page, neighbors(*rows))
    page.go_forward()
    expect_ids(page, neighbors(8))
    assert len(catalog.requests) == asked  # kept replies
    assert page.url.endswith("#like=gray%2F08.png")
    assert page.title() == "gray/08.png – search"


def test_buttons_of_a_tile_and_of_a_card(open_page):
    page = open_page(like(5))
    expect_ids(page, neighbors(5))
    tile(page, row_id(9)).hover()
    page.get_by_role("button", name=f"More like {row_id(9)}").click()
    expect_ids(page, neighbors(5, 9))
    page.get_by_role("button", name=f"More like {row_id(9)}: change to less").click()
    expect_ids(page, nearest_ids(STEP * (5 - 9), leave_out=(5,)))
    page.get_by_role("button", name=f"Remove {row_id(9)}").click()
    expect_ids(page, neighbors(5))
    page.get_by_role("button", name=f"Remove {row_id(5)}").click()
    wait_for(page, "document.querySelector('#summary').textContent === 'Some images to start from'")


def test_keyboard(open_page):
    page = open_page(like(15))
    expect_ids(page, neighbors(15))
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.press("Escape")
    page.locator(".tile .picture[tabindex='0']").focus()
    order = shown_ids(page)
    across = page.evaluate("getComputedStyle(document.querySelector('#tiles')).gridTemplateColumns.split(' ').length")
    for key, position in (("ArrowRight", 1), ("ArrowDown", across + 1), ("ArrowLeft", across), ("ArrowUp", 0),
                          ("ArrowUp", 0), ("End", 29), ("ArrowRight", 29), ("Home", 0), ("ArrowRight", 1)):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == order[position], key
    assert page.locator(".tile button[tabindex='0']").count() == 3
    row = int(order[1][5:7])
    page.keyboard.press("Enter")
    expect_ids(page, neighbors(row))
    assert page.evaluate(FOCUSED) == shown_ids(page)[0]  # goes on from the nearest
    other = int(shown_ids(page)[0][5:7])
    page.keyboard.press("+")
    expect_ids(page, neighbors(row, other))
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    assert page.evaluate("document.activeElement.id") == "where"
    page.keyboard.press("Escape")
    assert not page.locator("#filters").is_visible()


def test_typing_an_id(open_page, catalog):
    page = open_page()
    wait_idle(page)
    page.evaluate(TYPE, "gray/1")
    wait_for(page, "document.querySelectorAll('.tile').length === 10")
    assert sorted(shown_ids(page)) == [row_id(row) for row in range(10, 20)]
    assert page.locator("#summary").inner_text() == "10 images whose id contains “gray/1”"
    assert len(catalog.requests) == 2  # the last character was waited for
    page.fill("#text", "gray/13.png")
    expect_ids(page, neighbors(13))
    assert page.locator("#text").input_value() == "gray/13.png"
    page.fill("#text", "/<B>20</b> ü'%")  # any case, and no wildcard
    expect_ids(page, [row_id(20)])
    page.keyboard.press("Enter")
    expect_ids(page, nearest_ids(STEP * 20, leave_out=(20,)))
    page.fill("#text", "_")
    wait_for(page, "document.querySelector('#none').textContent === 'No image meets the condition.'")


def test_later_query_overtakes_an_earlier_one(open_page, catalog):
    catalog.slow["price < 10"] = 0.4
    page = open_page(like(5) + "&where=price < 10")
    page.wait_for_selector("#where", state="visible")
    page.fill("#where", "price < 3.5")
    expect_ids(page, [row_id(2), row_id(1), row_id(0)])
    page.wait_for_timeout(400)
    assert shown_ids(page) == [row_id(2), row_id(1), row_id(0)]


DRAG = """(step) => {
  const range = document.querySelector('#within');
  range.value = step;
  range.dispatchEvent(new Event('input'));
  range.dispatchEvent(new Event('change'));
}"""


def test_threshold(open_page, catalog):
    page = open_page(like(0))
    expect_ids(page, neighbors(0))
    asked = len(catalog.requests)
    page.evaluate(DRAG, 126)  # 30 results share 90 % of 400 steps, so that 126 is in the middle of two
    assert shown_ids(page) == [row_id(row) for row in range(1, 11)]
    within = float(page.locator("#within-value").inner_text())
    assert within == pytest.approx(distance(0, 10) + (distance(0, 11) - distance(0, 10)) / 2, rel=1e-3)
    assert len(catalog.requests) == asked
    assert f"within={within:g}" in page.url
    assert page.locator("#summary").inner_text() == f"10 images within {within:g}"
    page.evaluate(DRAG, 390)  # 7.5 % beyond the farthest
    expect_ids(page, [row_id(row) for row in range(1, 40) if distance(0, row) <= 1.075 * distance(0, 30)])
    assert catalog.requests[-1]["k"] == 60
    page.go_back()
    expect_ids(page, neighbors(0))


def test_threshold_of_the_address(open_page):
    page = open_page(like(0) + f"&within={distance(0, 3) + 0.01:.4f}")
    expect_ids(page, [row_id(row) for row in (1, 2, 3)])
    assert 36 <= float(page.locator("#within").input_value()) <= 37
    page = open_page(like(0) + "&within=0.1")
    wait_for(page, "document.querySelector('#none').textContent.includes('The nearest is at')")
    page.click("#none button")
    expect_ids(page, neighbors(0))
