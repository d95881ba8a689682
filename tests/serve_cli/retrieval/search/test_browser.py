"""The page of a search in a browser without a network, at the width of a phone."""

import numpy as np
import pytest

from serve_cli.retrieval.search.query import Query
from tests.serve_cli.photos import photo
from tests.serve_cli.report.conftest import ARGUMENTS, CHROMIUM
from tests.serve_cli.report.devices import PHONE
from tests.serve_cli.report.made import HOSTILE
from tests.serve_cli.retrieval.search.test_page import catalog, written

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def test_a_page_on_a_phone(browser, tmp_path):
    paths = [photo(tmp_path / "photos" / f"{number}.png", seed=number) for number in range(4)]
    index = catalog(tmp_path, paths, {0: HOSTILE, 1: "<b>bold</b>", 2: "a label without an end " * 9})
    queries = [Query(HOSTILE, np.ones(8, np.float32), label="<i>it</i>"), Query("long" * 60, np.ones(8, np.float32))]
    written(index, queries, tmp_path / "page.html")
    context = browser.new_context(**PHONE, offline=True)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
    page.goto((tmp_path / "page.html").as_uri())
    pictures = page.locator("symbol image").evaluate_all("all => Promise.all(all.map((one) => one.decode()))")
    assert (len(pictures), problems) == (4, [])
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner == 390
    assert page.locator("li .label", has_text="<b>bold</b>").count() == 2
    assert page.locator("main :is(b, i):text-is('bold'), main i, main script, main img").count() == 0
    context.close()
