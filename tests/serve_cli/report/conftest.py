"""A report in a browser without a network."""

import pytest

from tests.serve_cli.browser import browser, record_problems
from tests.serve_cli.report.devices import UNFOLD
from tests.serve_cli.report.made import embedded_photos

__all__ = ["browser"]
LABELS = [f"class {number:02d} of a long name" for number in range(36) for _ in range(4)]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from serve_cli.report.write import write_report
    from tests.serve_cli.report.test_write import options

    folder = tmp_path_factory.mktemp("report")
    copies = [(number, 0) for number in (1, 2, 5, 9)]
    source = embedded_photos(folder, LABELS, missing={3, 40}, failed={7}, copies=copies)
    write_report(options(source, folder / "report.html"))
    return folder / "report.html"


@pytest.fixture
def show(browser):
    """Open a file; what went wrong is told when the test has ended."""
    problems, opened = [], []

    def run(path, device, scheme="light", *, unfold=True):
        context = browser.new_context(**device, color_scheme=scheme, offline=True)
        opened.append(context)
        page = context.new_page()
        record_problems(page, problems)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.map canvas').dataset.zoom")
        if unfold:
            page.evaluate(UNFOLD)
        page.wait_for_timeout(300)  # the sheet is decoded, a frame drawn
        problems.extend(url for url in asked if url != path.as_uri() and not url.startswith("data:"))
        return page

    yield run
    for context in opened:
        context.close()
    assert problems == []
