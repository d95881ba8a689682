"""The map in a browser, under a mouse, keys and fingers."""

import pytest

from tests.serve_cli.report.devices import (
    CORNER,
    DESKTOP,
    INK,
    PHONE,
)

pytestmark = pytest.mark.slow


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
    assert page.locator("#viewer h2").inner_text().startswith("class ")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
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
        return name, sum(at for at, other in names.items() if other == name) / list(names.values()).count(name)

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
    page.get_by_role("button", name="Close").click()
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
    page.get_by_role("button", name="Close").tap()
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


def test_the_map_follows_the_color_scheme(show, report):
    page = show(report, DESKTOP)
    light = page.locator(".map > canvas").evaluate(CORNER)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    dark = page.locator(".map > canvas").evaluate(CORNER)
    assert sum(light) > 600
    assert sum(dark) < 200
