"""The page in a browser, without a network: at the widths of a desktop and of a phone, light and dark."""

import pytest

from serve_cli.report.write import write_report
from tests.serve_cli.report.devices import DESKTOP, INK, PHONE
from tests.serve_cli.report.made import hostile_folder
from tests.serve_cli.report.test_write import options

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_seen(show, report, device, scheme):
    page = show(report, device, scheme)
    sections = page.locator("section").all()
    assert len(sections) == 7
    for name in ("recall", "classes", "neighbors", "map", "distances", "suspects"):
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


def test_marks_differ_by_more_than_color(show, report):
    page = show(report, DESKTOP)
    seen = [
        page.locator(f"#neighbors li.{kind}").first.evaluate(
            "one => [getComputedStyle(one, '::before').content, "
            "getComputedStyle(one.querySelector('.thumbnail')).outlineStyle]"
        )
        for kind in ("right", "wrong")
    ]
    assert seen == [['"✓"', "none"], ['"✗"', "solid"]]  # right ones are quiet


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
