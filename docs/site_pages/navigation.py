"""Make the site's navigation from the links of the home page, so that pages are listed once."""

import posixpath
import re

HOME = "docs/index"
CHILDREN = {"docs/benchmarks": "/benchmarks/results/*", "CONTRIBUTING": "/docs/contributing/*"}
SECTION = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<page>[^)#]+)\.md\)", re.MULTILINE)


def sections(text: str) -> dict[str, list[str]]:
    """List the pages that the list entries of each section start with, as a table of contents names them."""
    parts = SECTION.split(text)
    folder = posixpath.dirname(HOME)
    return {
        section: [f"{title} </{posixpath.normpath(f'{folder}/{page}')}>" for title, page in ENTRY.findall(body)]
        for section, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def navigation(name: str, text: str) -> str:
    """Make the hidden tables of contents of a page: of the home page's sections, or of a page's folder."""
    if name == HOME:
        trees = [_tree(f":caption: {title}", pages) for title, pages in sections(text).items() if pages]
        return "\n\n".join(trees)
    return _tree(":glob:", [CHILDREN[name]]) if name in CHILDREN else ""


def _tree(option: str, pages: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", option, "", *pages, "```"])
