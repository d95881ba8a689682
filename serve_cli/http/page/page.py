"""Make the search page: one HTML file with its style and script inside, and a policy that names them by hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from serve_cli.report.html import BASE_STYLE, content_security_policy, template_text

PACKAGE = "serve_cli.http.page"
SCRIPTS = (  # joined in this order to one module
    "elements.js",
    "query.js",
    "server.js",
    "photos.js",
    "pictures.js",
    "ask.js",
    "terms.js",
    "tiles.js",
    "results.js",
    "threshold.js",
    "filters.js",
    "input.js",
    "keyboard.js",
    "main.js",
)
SOURCES = (
    "connect-src 'self'",
    "require-trusted-types-for 'script'",  # the browser refuses innerHTML and the like
    "trusted-types 'none'",
)


@dataclass(frozen=True)
class SearchPage:
    """The page and its policy.

    Parameters
    ----------
    html : bytes
        UTF-8, with the policy inside.
    policy : str
        The same for the header `Content-Security-Policy`, which also keeps other pages from framing this one.
    """

    html: bytes
    policy: str


@cache
def search_page() -> SearchPage:
    """Make the page. It holds no data: its script asks the server for all that it shows."""
    css = template_text(BASE_STYLE) + _source("page.css")
    script = "\n".join(_source("scripts", name) for name in SCRIPTS)
    policy = content_security_policy(css, script, images="'self' blob: data:", more=SOURCES)
    html = _source("page.html")
    for mark, content in (("{{ policy }}", policy), ("{{ css }}", css), ("{{ script }}", script)):
        before, after = html.split(mark)
        html = before + content + after
    return SearchPage(html.encode(), f"{policy}; frame-ancestors 'none'")


def _source(*path: str) -> str:
    return resources.files(PACKAGE).joinpath(*path).read_text(encoding="utf-8")
