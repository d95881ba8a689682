"""What the page shows, waited for."""

from __future__ import annotations

import base64
import time
from typing import Any

SHOWN = "[...document.querySelectorAll('.tile:not([hidden])')].map((tile) => tile.dataset.id)"
IDLE = "document.querySelector('#results').getAttribute('aria-busy') === 'false'"
FILES = """(files) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    data.items.add(new File([bytes], name, { type }));
  }
  if (!files.length) data.setData("text/uri-list", "https://example.org/x.png");
  return data;
}"""


def shown_ids(page: Any) -> list[str]:
    return list(page.evaluate(SHOWN))


def wait_for(page: Any, expression: str, seconds: float = 60) -> None:
    """Wait for an expression. Playwright's own wait uses eval, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(10)


def wait_idle(page: Any) -> None:
    wait_for(page, IDLE)


def expect_ids(page: Any, expected: list[str], seconds: float = 60) -> None:
    """Wait until these tiles are shown, in this order."""
    end = time.monotonic() + seconds
    while shown_ids(page) != expected or not page.evaluate(IDLE):
        if time.monotonic() > end:
            assert shown_ids(page) == expected
        page.wait_for_timeout(10)


def tile(page: Any, row_id: str) -> Any:
    return page.locator(f".tile[data-id={row_id!r}]")


def data_transfer(page: Any, *files: tuple[str, str, bytes]) -> Any:
    encoded = [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]
    return page.evaluate_handle(FILES, encoded)


def drop(page: Any, *files: tuple[str, str, bytes], onto: str = "body") -> None:
    page.dispatch_event(onto, "drop", {"dataTransfer": data_transfer(page, *files)})
