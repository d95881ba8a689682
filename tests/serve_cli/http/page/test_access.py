"""Tokens, errors, widths, and readers of other kinds."""

import re

import pytest

from tests.serve_cli.http.page.gray_catalog import nearest_ids
from tests.serve_cli.http.page.watching import expect_ids, wait_for
from tests.serve_cli.report.devices import DESKTOP, PHONE

pytestmark = pytest.mark.slow
FROM_FIVE = "#like=gray/05.png"
STEERED = FROM_FIVE + "&unlike=gray/30.png&where=price < 50&show=price&within=20"
DECODED = """Promise.all([...document.querySelectorAll('.tile img')].slice(0, 4).map(
  (image) => image.decode().then(() => image.src.slice(0, 5))))"""


def test_token(open_page, catalog):
    catalog.token = "secret"
    page = open_page(FROM_FIVE, expected=[401])
    page.wait_for_selector("#token-dialog[open]")
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    wait_for(page, "document.querySelector('#token-problem').textContent === 'The server did not accept this token.'")
    page.fill("#token", "secret")
    page.keyboard.press("Enter")
    expect_ids(page, nearest_ids(30, leave_out=(5,)))
    wait_for(page, "document.querySelectorAll('.tile img[src^=blob]').length > 3")
    assert page.evaluate(DECODED) == ["blob:"] * 4
    assert not any("secret" in path for path in catalog.paths)
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    assert "secret" not in page.url
    page.reload()
    page.wait_for_selector("#token-dialog[open]")
    page.click("#token-cancel")
    page.wait_for_selector("#problem p")
    assert "A bearer token is needed." in page.locator("#problem").inner_text()


def test_busy_server_is_asked_again(open_page, catalog):
    catalog.busy = 1
    page = open_page(FROM_FIVE, expected=[429])
    expect_ids(page, nearest_ids(30, leave_out=(5,)))
    assert len(catalog.requests) == 1


def test_server_that_opens_its_model_for_long_is_waited_for(open_page, catalog):
    catalog.opening = 7  # more than a request is repeated
    page = open_page(FROM_FIVE, expected=[503])
    expect_ids(page, nearest_ids(30, leave_out=(5,)))
    assert not page.locator("#problem").is_visible()


def test_errors_are_shown_and_can_be_tried_again(open_page, catalog):
    catalog.busy = 3
    page = open_page(FROM_FIVE, expected=[429])
    page.wait_for_selector("#problem p")
    assert "The queue is full." in page.locator("#problem").inner_text()
    page.click("#problem button")
    expect_ids(page, nearest_ids(30, leave_out=(5,)))
    assert not page.locator("#problem").is_visible()


def test_server_without_an_index(open_page, catalog):
    catalog.has_index = False
    page = open_page()
    page.wait_for_selector("#problem p")
    assert "has no index" in page.locator("#problem").inner_text()
    assert not page.locator("#ask").is_visible()


def test_axe_finds_nothing_serious(open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = open_page(STEERED)
    wait_for(page, "document.querySelectorAll('.tile:not([hidden])').length > 3")
    page.click("#columns-button")
    contrast = {"runOnly": ["color-contrast"]}

    def violations(options=None):
        rules = axe.run(page, options=options).response["violations"]
        return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in rules]

    assert violations() == []
    page.emulate_media(color_scheme="dark")
    assert violations(contrast) == []
    page.click("#help-button")
    assert violations(contrast) == []
    page.emulate_media(color_scheme="light")
    assert violations() == []


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_page_fits_its_width(open_page, device):
    page = open_page(STEERED, device)
    wait_for(page, "document.querySelectorAll('.tile:not([hidden])').length > 3")
    page.click("#columns-button")
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [device["viewport"]["width"]] * 2
    sides = page.locator("button:visible, input:visible").evaluate_all(
        "all => all.map((element) => element.getBoundingClientRect()).map((box) => [box.left, box.right])"
    )
    assert all(left >= -4 and right <= device["viewport"]["width"] + 4 for left, right in sides)


def test_screen_readers(open_page):
    page = open_page(FROM_FIVE)
    expect_ids(page, nearest_ids(30, leave_out=(5,)))
    wait_for(page, "document.querySelector('#announced').textContent !== ''")
    assert page.locator("#announced").text_content() == "30 nearest of 40 images"
    snapshot = page.locator("body").aria_snapshot()
    for line in ("- banner:", "- main:", '- search "Images":', '- region "Search for":',
                 '- region "Narrow the results":', '- region "30 nearest of 40 images":',
                 '- button "class 0, gray/04.png"', '- slider "Within distance"'):  # fmt: skip
        assert line in snapshot
    assert (
        page.locator(".tile .picture")
        .first.evaluate("(button) => document.getElementById(button.getAttribute('aria-describedby')).textContent")
        .startswith("distance ")
    )
    assert re.search(r'img "class 0, gray/04.png"|button "class 0, gray/04.png"', snapshot)
