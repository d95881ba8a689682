"""The page in a browser, with a small server behind it."""

import pytest

from tests.serve_cli.browser import browser, record_problems
from tests.serve_cli.report.devices import DESKTOP

__all__ = ["browser"]


@pytest.fixture
def catalog():
    """Forty gray pictures behind a server on loopback."""
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    pytest.importorskip("starlette", reason="Starlette is not installed")
    pytest.importorskip("python_multipart", reason="python-multipart is not installed")
    from tests.serve_cli.http.page.gray_catalog import gray_catalog
    from tests.serve_cli.http.page.stand_in import serving

    with serving(gray_catalog()) as served:
        yield served


@pytest.fixture
def open_url(browser):
    """Open a page; what went wrong is told when the test has ended, apart from failed replies of `expected` status."""
    problems, opened, tolerated = [], [], []

    def run(url, device=DESKTOP, scheme="light", expected=()):
        origin = "/".join(url.split("/")[:3])
        context = browser.new_context(**device, color_scheme=scheme, reduced_motion="reduce")
        opened.append(context)
        tolerated.extend(f"console: Failed to load resource: the server responded with a status of {status}"
                         for status in expected)  # fmt: skip
        page = context.new_page()
        page.set_default_timeout(60_000)
        record_problems(page, problems)
        page.on("request", lambda request: None if request.url.startswith((origin + "/", f"blob:{origin}/"))
                else problems.append(f"request: {request.url}"))  # fmt: skip
        page.goto(url)
        return page

    yield run
    for context in opened:
        context.close()
    assert [problem for problem in problems if not problem.startswith(tuple(tolerated))] == []


@pytest.fixture
def open_page(catalog, open_url):  # in this order: the server stops last
    """Open the page of the catalog."""
    return lambda address="", *arguments, **options: open_url(f"{catalog.url}/{address}", *arguments, **options)
