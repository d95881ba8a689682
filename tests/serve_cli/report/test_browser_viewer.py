"""Neighbors of any image, the filter of the map, folds, and the page for readers of other kinds."""

import pytest

from serve_cli.report.write import write_report
from tests.serve_cli.report.conftest import LABELS
from tests.serve_cli.report.devices import DESKTOP, PHONE
from tests.serve_cli.report.made import embedded_photos
from tests.serve_cli.report.test_write import options

pytestmark = pytest.mark.slow
BROKEN = {"serious", "critical"}  # axe's words for what keeps people out


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    first, second = (embedded_photos(folder / name, LABELS, seed=seed) for seed, name in enumerate("ab"))
    write_report(options(first, folder / "report.html", other=second, method="pca"))
    return folder / "report.html"


def viewed(page):
    return page.locator("#viewer h2").inner_text()


def test_a_phone_folds_all_but_recall(show, report):
    page = show(report, PHONE, unfold=False)
    assert page.evaluate("document.documentElement.scrollHeight") < 2500
    assert page.locator("#recall .chart").is_visible()
    assert not page.locator("#map canvas").first.is_visible()
    page.get_by_role("link", name="Map").click()
    assert page.locator(".map > canvas").is_visible()
    assert page.locator(".map > canvas").evaluate("one => one.width") > 300
    page.locator("#classes > details > summary").click()
    assert page.locator("#classes .classes").first.is_visible()
    assert not page.locator("#classes .classes").nth(1).is_visible()  # those after the first ten
    assert page.locator("#classes .classes").first.locator("tbody tr").count() == 10


def test_a_desktop_folds_nothing_but_long_lists(show, report):
    page = show(report, DESKTOP, unfold=False)
    assert page.locator("details.fold:not([open])").count() == 0
    assert page.locator("details:not([open])").count() > 0


def test_without_scripts_all_can_be_read(browser, report):
    context = browser.new_context(**PHONE, java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#suspects h3").first.is_visible()
    assert (
        page.locator("#map .warning").inner_text().startswith("The map and the neighbors of any image need JavaScript")
    )
    assert not page.locator("#map form").is_visible()
    assert not page.locator(".scripted").is_visible()
    assert page.get_by_role("button", name="Query").count() == 0
    context.close()


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_any_image_shows_its_neighbors(show, report, device):
    page = show(report, device)
    page.locator("#classes .thumbnail").first.click()
    first = viewed(page)
    assert first == page.locator("#classes tbody .name > span").first.inner_text()
    neighbors = page.locator("#viewer li")
    assert neighbors.count() == 8
    for item in neighbors.all():
        name = item.locator("button").get_attribute("aria-label")
        right = item.locator(".label").inner_text() == first
        assert name.startswith("Right" if right else "Wrong")
        assert item.get_attribute("class") == ("right" if right else "wrong")
        box = item.locator(".thumbnail").bounding_box()
        assert 0 < box["width"] < device["viewport"]["width"] / 3
    second = neighbors.last.locator(".label").inner_text()
    neighbors.last.locator("button").click()
    assert viewed(page) == second
    page.get_by_role("button", name="Back").click()
    assert viewed(page) == first
    assert not page.get_by_role("button", name="Back").is_visible()
    assert page.locator("#viewer").is_visible()
    page.get_by_role("button", name="Show on the map").click()
    assert not page.locator("#viewer").is_visible()
    assert page.locator(".map .card b").inner_text() == first
    assert float(page.locator(".map > canvas").get_attribute("data-zoom")) == 4


def test_neighbors_with_keys_alone(show, report):
    page = show(report, DESKTOP)
    picture = page.locator("#neighbors .query .thumbnail").first
    picture.focus()
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()
    page.keyboard.press("Tab")  # from the name to the first button
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").split(":")[0] in (
        "Right at rank 1",
        "Wrong at rank 1",
    )
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert picture.evaluate("one => one === document.activeElement")


def test_a_page_with_some_of_the_images_says_so(show, tmp_path):
    source = embedded_photos(tmp_path, LABELS)
    write_report(options(source, tmp_path / "report.html", map_images=20, baseline=False))
    page = show(tmp_path / "report.html", DESKTOP)
    page.locator("#neighbors li .thumbnail").first.click()
    assert page.locator("#viewer li").count() == 8
    assert page.locator("#viewer .note").inner_text().startswith("Neighbors are the nearest of the images on this page")
    assert page.evaluate("page.images.length") < 144 == page.evaluate("page.total")


def test_a_click_beside_the_viewer_closes_it(show, report):
    page = show(report, DESKTOP)
    page.locator("#neighbors .query .thumbnail").first.click()
    box = page.locator("#viewer").bounding_box()
    page.mouse.click(box["x"] + 5, box["y"] + 5)  # its margin
    assert page.locator("#viewer").is_visible()
    page.mouse.click(box["x"] - 20, box["y"] + 5)
    assert not page.locator("#viewer").is_visible()


def test_the_map_is_filtered_by_words_and_by_hits(show, report):
    page = show(report, DESKTOP)
    canvas, found = page.locator(".map > canvas"), page.locator("#map output")
    assert found.inner_text() == ""
    page.get_by_label("Find").fill("CLASS 07")
    assert found.inner_text() == "4 of 143 images"
    page.keyboard.press("Enter")
    assert float(canvas.get_attribute("data-zoom")) > 1
    canvas.press("0")
    canvas.press("Enter")  # the nearest to the middle of the remaining ones
    assert viewed(page).startswith("class 07")
    page.keyboard.press("Escape")
    page.get_by_label("Find").fill("12.jpg")  # a part of a file name
    assert found.inner_text() == "2 of 143 images"
    page.get_by_label("Find").fill("")
    page.get_by_label("Show", exact=True).select_option("missed")
    missed = int(found.inner_text().split()[0])
    page.get_by_label("Show", exact=True).select_option("found")
    assert missed + int(found.inner_text().split()[0]) == 143


def test_an_image_outside_the_filter_clears_it(show, report):
    page = show(report, DESKTOP)
    page.get_by_label("Find").fill("no such image")
    assert page.locator("#map output").inner_text() == "0 of 143 images"
    page.locator("#classes .thumbnail").first.click()
    page.get_by_role("button", name="Show on the map").click()
    assert page.get_by_label("Find").input_value() == ""
    assert page.locator(".map .card").is_visible()


def test_two_models_show_the_neighbors_of_both(show, comparison):
    page = show(comparison, DESKTOP)
    page.locator("#comparison .gains .thumbnail").first.click()
    assert [text.split()[0] for text in page.locator("#viewer .by").all_inner_texts()] == [
        "a/embeddings",
        "b/embeddings",
    ]
    assert page.locator("#viewer ol").count() == 2
    assert page.locator("#viewer li").count() == 16
    page.keyboard.press("Escape")
    page.get_by_label("Show", exact=True).select_option("only-first")
    only = int(page.locator("#map output").inner_text().split()[0])
    assert only == int(page.locator("#comparison .count").first.inner_text())


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_readers_out(show, comparison, device, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = show(comparison, device, scheme)
    page.wait_for_timeout(100)
    problems = axe.run(page).response["violations"]
    page.locator("#neighbors .thumbnail").first.click()
    problems += axe.run(page).response["violations"]
    found = [(problem["id"], problem["nodes"][0]["html"][:200]) for problem in problems if problem["impact"] in BROKEN]
    assert found == []
