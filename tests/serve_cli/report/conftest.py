"""A report in a browser without a network."""

import shutil

import pytest

from tests.serve_cli.report.made import embedded_photos

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split()
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


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def show(browser):
    """Open a file; what went wrong is told when the test has ended."""
    problems, opened = [], []

    def run(path, device, scheme="light"):
        context = browser.new_context(**device, color_scheme=scheme, offline=True)
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("document.querySelector('.map canvas').dataset.zoom")
        page.wait_for_timeout(300)  # the sheet is decoded, a frame drawn
        problems.extend(url for url in asked if url != path.as_uri() and not url.startswith("data:"))
        return page

    yield run
    for context in opened:
        context.close()
    assert problems == []
