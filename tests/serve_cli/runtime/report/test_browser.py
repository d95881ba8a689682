"""The page in a browser, without a network: at the widths of a desktop and of a phone, light and dark."""

import shutil

import pytest

from serve_cli.runtime.report.write import write_report

from .made import embedded_photos, hostile_folder
from .test_write import options

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("jinja2", reason="Jinja2 is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split()
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
LABELS = [f"class {number:02d} of a long name" for number in range(36) for _ in range(4)]
LUMINANCE = """
(selector) => [...document.querySelectorAll(selector)].map((element) => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => rgb(text).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  let behind = element;
  while (behind.parentElement && (rgb(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0)
    behind = behind.parentElement;
  const style = getComputedStyle(element), own = element.closest("svg") ? style.fill : style.color;
  const [low, high] = [light(own), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => a - b);
  return [(high + 0.05) / (low + 0.05), element.outerHTML.slice(0, 80)];
})
"""
READ = """
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
"""
INK = f"""(canvas) => {{ {READ}
  const pixels = new Uint32Array(data.buffer), seen = new Map();
  for (const pixel of pixels) seen.set(pixel, (seen.get(pixel) ?? 0) + 1);
  return 1 - [...seen.values()].reduce((a, b) => Math.max(a, b)) / pixels.length;
}}"""
CORNER = f"(canvas) => {{ {READ} return [...data.slice(0, 3)]; }}"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    copies = [(number, 0) for number in (1, 2, 5, 9)]
    source = embedded_photos(folder, LABELS, missing={3, 40}, failed={7}, copies=copies)
    write_report(options(source, folder / "report.html"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


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


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_seen(show, report, device, scheme):
    page = show(report, device, scheme)
    sections = page.locator("section").all()
    assert len(sections) == 7
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    for name in ("recall", "classes", "neighbours", "map", "distances", "suspects"):
        figures = page.locator(f"#{name} :is(svg, canvas):not([hidden] *)").all()
        assert figures, name
        for figure in figures:
            box = figure.bounding_box()
            assert box is not None, name
            assert box["width"] > 20, name
            assert box["height"] >= 8, name
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= device["viewport"]["width"], name
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner == device["viewport"]["width"]
    assert page.locator(".map > canvas").evaluate(INK) > 0.03
    pictures = page.locator("symbol image").evaluate_all("all => Promise.all(all.map((one) => one.decode()))")
    assert len(pictures) > 30


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(show, report, device, scheme):
    """Contrast of 4.5 or more (WCAG 2.2, 1.4.3), and letters of 10 px or more, those of charts among them."""
    page = show(report, device, scheme)
    for ratio, what in page.evaluate(LUMINANCE, "h1, h2, h3, p, a, th, td, small, b, summary, .label, .chart text, em"):
        assert ratio >= 4.5, what
    background = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(background) > 600) == (scheme == "light")
    letters = page.locator(".chart text").evaluate_all("all => all.map((one) => one.getBoundingClientRect().height)")
    assert min(letters) >= 10
    sizes = page.locator("body *:not(svg *)").evaluate_all(
        "all => all.map((o) => parseFloat(getComputedStyle(o).fontSize))"
    )
    assert min(sizes) >= 12


def test_marks_differ_by_more_than_colour(show, report):
    page = show(report, DESKTOP)
    seen = [
        page.locator(f"#neighbours li.{kind}").first.evaluate(
            "one => [getComputedStyle(one, '::before').content, "
            "getComputedStyle(one.querySelector('.tile')).borderTopStyle]"
        )
        for kind in ("right", "wrong")
    ]
    assert seen == [['"✓"', "solid"], ['"✗"', "dashed"]]


def test_map_with_a_mouse_and_keys(show, report):
    page = show(report, DESKTOP)
    canvas = page.locator(".map > canvas")

    def drawn():
        page.wait_for_timeout(80)
        return canvas.evaluate("one => one.toDataURL()")

    def zoom():
        return float(canvas.get_attribute("data-zoom"))

    canvas.scroll_into_view_if_needed()
    pictures = [drawn()]
    page.get_by_role("button", name="Zoom in").click()
    pictures.append(drawn())
    assert zoom() == 1.6
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.wheel(0, -300)
    assert zoom() == 1.6  # the wheel scrolls the page until the map is clicked
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    canvas.hover(position={"x": 300, "y": 200})
    page.mouse.wheel(0, -300)
    pictures.append(drawn())
    assert zoom() > 2
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 260, steps=4)
    page.mouse.up()
    pictures.append(drawn())
    canvas.press("ArrowRight")
    pictures.append(drawn())
    page.get_by_role("button", name="Dots instead of pictures").click()
    pictures.append(drawn())
    assert len(set(pictures)) == len(pictures)
    page.get_by_role("button", name="Dots instead of pictures").click()
    canvas.press("0")
    page.mouse.move(0, 0)
    assert drawn() == pictures[0]
    canvas.press("Enter")
    assert page.locator(".map .card").is_visible()
    assert page.locator(".map .card b").inner_text().startswith("class ")
    canvas.press("Escape")
    assert not page.locator(".map .card").is_visible()


def test_what_is_under_the_wheel_stays_there(show, report):
    """A picture far from the middle is under the pointer before and after zooming in on it."""
    page = show(report, DESKTOP)
    canvas, card = page.locator(".map > canvas"), page.locator(".map .card")
    canvas.scroll_into_view_if_needed()
    canvas.focus()
    box = canvas.bounding_box()

    def name_at(x, y):
        page.mouse.move(box["x"] + x, box["y"] + y)
        return card.locator("span").text_content() if card.is_visible() else None

    def middle(names):
        """Of the first picture, or of that part of it which is seen."""
        name = next(filter(None, names.values()))
        return name, sum(at for at, found in names.items() if found == name) / list(names.values()).count(name)

    y = 0.25 * box["height"]
    name, x = middle({x: name_at(x, y) for x in range(0, int(box["width"]), 4)})
    name, y = middle({y: name_at(x, y) for y in range(int(y) - 40, int(y) + 40, 4)})
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(80)
    assert float(canvas.get_attribute("data-zoom")) > 1.5
    assert name_at(x + 1, y) == name
    page.mouse.move(0, 0)
    assert not card.is_visible()


def test_a_click_holds_what_is_shown(show, report):
    page = show(report, DESKTOP)
    canvas, card = page.locator(".map > canvas"), page.locator(".map .card")
    canvas.scroll_into_view_if_needed()
    canvas.press("Enter")
    canvas.hover(position={"x": 5, "y": 5})
    assert card.is_visible()
    canvas.click(position={"x": 5, "y": 5})  # nothing is there
    assert not card.is_visible()


def test_map_with_fingers(show, report):
    page = show(report, PHONE)
    canvas, card = page.locator(".map > canvas"), page.locator(".map .card")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert canvas.evaluate("one => one.style.touchAction") == "pan-y"  # a finger scrolls past the whole map
    for x in range(40, int(box["width"]), 30):
        canvas.tap(position={"x": x, "y": box["height"] / 2})
        if card.is_visible():
            break
    assert card.is_visible()
    shown = card.bounding_box()
    assert shown["x"] >= box["x"]
    assert shown["x"] + shown["width"] <= box["x"] + box["width"]
    assert card.locator("canvas").evaluate(INK) > 0.3
    client = page.context.new_cdp_session(page)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, apart in (("touchStart", 30), ("touchMove", 60), ("touchMove", 90), ("touchEnd", None)):
        points = [] if apart is None else [{"x": middle[0] + side * apart, "y": middle[1]} for side in (-1, 1)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_timeout(100)
    assert float(canvas.get_attribute("data-zoom")) == pytest.approx(3, rel=0.1)
    assert canvas.evaluate("one => one.style.touchAction") == "none"


def test_the_map_follows_the_colour_scheme(show, report):
    page = show(report, DESKTOP)
    light = page.locator(".map > canvas").evaluate(CORNER)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    dark = page.locator(".map > canvas").evaluate(CORNER)
    assert sum(light) > 600
    assert sum(dark) < 200


def test_hostile_names_are_only_text(show, tmp_path):
    source = hostile_folder(tmp_path)
    write_report(options(source, tmp_path / "report.html"))
    page = show(tmp_path / "report.html", DESKTOP)
    canvas = page.locator(".map > canvas")
    canvas.scroll_into_view_if_needed()
    canvas.press("Enter")
    assert "alert(" in page.locator(".map .card b").inner_text()
    assert page.locator("img").count() == 1
    assert page.locator("h1").inner_text().startswith("</script>")
