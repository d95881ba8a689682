"""Images that are dropped, pasted and chosen."""

import pytest

from tests.serve_cli.http.page.gray_catalog import HOSTILE, distance, gray_png, nearest_ids, row_id
from tests.serve_cli.http.page.watching import data_transfer, drop, expect_ids, shown_ids, wait_idle
from tests.serve_cli.report.devices import PHONE

pytestmark = pytest.mark.slow
PHOTO = ("my photo.png", "image/png", gray_png(61))
OTHER = ("other.png", "image/png", gray_png(121))


def test_images_to_start_from_and_others(open_page, catalog):
    page = open_page()
    wait_idle(page)
    first = shown_ids(page)
    assert len(first) == 30
    assert page.locator("#summary").inner_text() == "Some images to start from"
    assert not page.locator("#threshold").is_visible()
    page.click("#others")
    wait_idle(page)
    assert [len(asked["queries"][0]["vector"]) for asked in catalog.requests] == [48, 48]
    assert catalog.requests[0] != catalog.requests[1]


def test_dropped_photo(open_page, catalog):
    page = open_page()
    wait_idle(page)
    page.dispatch_event("body", "dragenter", {"dataTransfer": data_transfer(page, PHOTO)})
    assert page.locator("#drop").is_visible()
    drop(page, PHOTO)
    assert not page.locator("#drop").is_visible()
    expect_ids(page, nearest_ids(61))
    assert catalog.requests[-1]["files"] == 1
    assert catalog.requests[-1]["queries"] == [{"file": 0, "weight": 1}]
    assert "my photo.png" in page.locator("#terms").inner_text()
    assert page.locator("#terms img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 48
    caption = page.locator(".tile .distance").first.text_content()
    assert caption == f"distance {distance(61, 10):.4f}"
    assert "exact" in page.locator("#times").inner_text()
    for stage in ("decode 1.5", "network 2.0", "search", "transfer"):
        assert stage in page.locator("#times").inner_text()


def test_photo_is_sent_once_then_its_embedding(open_page, catalog):
    page = open_page()
    wait_idle(page)
    drop(page, PHOTO)
    expect_ids(page, nearest_ids(61))
    page.uncheck("#folds")
    wait_idle(page)
    page.click("#more")
    expect_ids(page, nearest_ids(61, 40))
    assert [asked["files"] for asked in catalog.requests] == [0, 1, 0, 0]
    assert [asked["unique"] for asked in catalog.requests] == [True, True, False, False]
    assert catalog.paths.count("/embed") == 1


def test_pasted_photo_and_pasted_text(open_page, catalog):
    page = open_page()
    wait_idle(page)
    paste = "(data) => document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))"
    page.evaluate(paste, data_transfer(page))
    page.evaluate(paste, data_transfer(page, PHOTO))
    expect_ids(page, nearest_ids(61))
    assert len(catalog.requests) == 2


def test_chosen_photo_then_another_beside_it(open_page, catalog):
    page = open_page()
    wait_idle(page)
    name, kind, content = PHOTO
    with page.expect_file_chooser() as chooser:
        page.click("#choose")
    chooser.value.set_files({"name": name, "mimeType": kind, "buffer": content})
    expect_ids(page, nearest_ids(61))
    drop(page, OTHER, onto="#terms .add")
    expect_ids(page, nearest_ids((61 + 121) / 2))
    assert page.locator("#terms li:not(.add)").count() == 2
    page.get_by_role("button", name="Remove my photo.png").click()
    expect_ids(page, nearest_ids(121))


def test_photograph_asks_for_the_camera(open_page):
    page = open_page("", PHONE)
    wait_idle(page)
    with page.expect_file_chooser() as chooser:
        page.click("#photograph")
    assert chooser.value.element.get_attribute("capture") == "environment"
    assert not open_page().locator("#photograph").is_visible()


def test_photo_that_is_too_large_is_not_sent(open_page, catalog):
    page = open_page()
    wait_idle(page)
    assert "up to 0.2\N{NO-BREAK SPACE}MB" in page.locator("#hint").inner_text()
    drop(page, ("large.png", "image/png", b"x" * 200_001))
    assert "large.png is 0.3" in page.locator("#problem").inner_text()
    drop(page, *[PHOTO] * 5)
    assert "5 images; this server takes up to 4 at once" in page.locator("#problem").inner_text()
    drop(page)
    assert "That was not a file" in page.locator("#problem").inner_text()
    assert len(catalog.requests) == 1


def test_photo_is_gone_after_a_reload(open_page, catalog):
    page = open_page()
    wait_idle(page)
    drop(page, PHOTO)
    expect_ids(page, nearest_ids(61))
    page.reload()
    page.wait_for_selector("#problem p")
    assert "my photo.png is no longer in the memory of this page" in page.locator("#problem").inner_text()
    assert len(catalog.requests) == 2
    page.click("#problem button")
    wait_idle(page)
    assert len(shown_ids(page)) == 30


def test_names_of_html_are_text(open_page):
    page = open_page()
    wait_idle(page)
    drop(page, ("<b>x</b>.png", "image/png", gray_png(6 * HOSTILE)))
    expect_ids(page, nearest_ids(6 * HOSTILE))
    tile = page.locator(".tile").first
    assert "<img src=x onerror=alert(1)>" in tile.inner_text()
    assert row_id(HOSTILE) in tile.inner_text()
    assert "<b>x</b>.png" in page.locator("#terms").inner_text()
    assert tile.locator("img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 48
    tile.locator(".picture").click()
    expect_ids(page, nearest_ids(6 * HOSTILE, leave_out=(HOSTILE,)))
    assert "<img src=x" in page.locator("#terms").inner_text()
    assert page.locator("b b, img[src=x]").count() == 0


def test_text_that_is_dragged_is_left_alone(open_page):
    page = open_page()
    wait_idle(page)
    text = "() => { const data = new DataTransfer(); data.setData('text/plain', 'gray'); return data; }"
    page.dispatch_event("body", "dragenter", {"dataTransfer": page.evaluate_handle(text)})
    assert not page.locator("#drop").is_visible()
    page.dispatch_event("#text", "drop", {"dataTransfer": page.evaluate_handle(text)})
    assert not page.locator("#problem").is_visible()
