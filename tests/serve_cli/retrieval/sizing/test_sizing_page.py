from tests.serve_cli.retrieval.sizing.sizing_page import DOCUMENT, MARKED, TABLES, page, rounded_down


def test_the_page_has_the_numbers_of_the_calculation():
    text = DOCUMENT.read_text()
    assert {name for name, _ in MARKED.findall(text)} == set(TABLES)
    assert text == page(text), "run: python -m tests.serve_cli.retrieval.sizing.sizing_page"


def test_limits_are_not_rounded_up():
    assert [rounded_down(count) for count in (23_999_999, 92, 50_000)] == [23_000_000, 92, 50_000]
