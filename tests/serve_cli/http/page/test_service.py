"""The page of the real service, with an index of photographs."""

import pytest

from tests.serve_cli.http.page.watching import expect_ids, shown_ids, tile, wait_for, wait_idle

pytestmark = pytest.mark.slow
FIRST = "document.querySelector('.tile .distance')?.textContent"


@pytest.fixture(scope="module")
def url(shop):
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    from serve_cli.http.app import make_app
    from serve_cli.http.serve_options import ServeOptions
    from tests.serve_cli.http.page.loopback import on_loopback
    from tests.serve_cli.http.served import LIMITS, MODEL

    options = ServeOptions(source=shop.index, limits=LIMITS, model_options=MODEL, access_log=False, max_memory=8 << 30)
    with on_loopback(make_app(options)) as address:
        yield address


def test_photo_id_condition_and_folds(open_url, url, shop):
    page = open_url(url + "/", expected=[422])
    wait_idle(page)
    assert page.locator("#facts").inner_text().startswith("8 images")
    page.set_input_files("#file", shop.photos / "3.png")
    wait_for(page, f"{FIRST} === 'distance 0.0000'")
    wait_idle(page)
    assert shown_ids(page)[0] == "photos/3.png"
    assert sorted(shown_ids(page)) == [f"photos/{number}.png" for number in range(6)]
    page.uncheck("#folds")
    wait_for(page, "document.querySelectorAll('.tile').length === 8")
    page.evaluate("Promise.all([...document.querySelectorAll('.tile img')].map((image) => image.decode()))")
    tile(page, "photos/0.png").locator(".picture").click()
    wait_for(page, "document.querySelectorAll('.tile').length === 7")
    assert shown_ids(page)[0] == "photos/6.png"
    page.keyboard.press("f")
    page.fill("#where", "price < 4 and brand = 3")
    page.wait_for_selector("#where-problem mark")
    assert page.locator("#where-problem mark").inner_text() in ("brand", "3", "=")
    page.fill("#where", "price < 4 and brand = 'a'")
    wait_for(page, "document.querySelectorAll('.tile').length === 2")
    assert sorted(shown_ids(page)) == ["photos/1.png", "photos/3.png"]
    page.fill("#text", "photos/5")
    expect_ids(page, [])
    page.click("#clear-filters")
    expect_ids(page, ["photos/5.png"])


def test_a_file_that_is_no_image_is_named_and_removed(open_url, url):
    page = open_url(url + "/", expected=[422])
    wait_idle(page)
    first = shown_ids(page)
    page.set_input_files("#file", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no image"})
    page.wait_for_selector("#problem:not([hidden])")
    assert page.locator("#problem p").inner_text().startswith("notes.jpg cannot be read (it is not an image of a known")
    page.get_by_role("button", name="Remove it").click()
    wait_for(page, "document.querySelector('#problem').hidden")
    expect_ids(page, first)
