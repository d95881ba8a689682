from tests.export.support_table import DOCUMENT, table


def test_the_document_says_what_the_translators_do() -> None:
    assert DOCUMENT.read_text() == table(), "run: python -m tests.export.support_table"
