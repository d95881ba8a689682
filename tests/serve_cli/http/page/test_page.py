"""The file: what is inside, and what its policy allows."""

import base64
import hashlib
import re
from importlib import resources

import pytest

from serve_cli.http.page.page import SCRIPTS, search_page

HTML = search_page().html.decode()
FOLDER = resources.files("serve_cli.http.page")


def source_of(kind, tag):
    (content,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", HTML, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"{kind} 'sha256-{digest}'"


def test_policy_names_the_style_and_the_script_and_nothing_else():
    (inside,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', HTML)
    assert inside.split("; ") == [
        "default-src 'none'",
        "img-src 'self' blob: data:",
        source_of("style-src", "style"),
        source_of("script-src", "script"),
        "connect-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert search_page().policy == inside + "; frame-ancestors 'none'"


def test_every_script_is_inside_once():
    names = {script.name for script in FOLDER.joinpath("scripts").iterdir() if script.name.endswith(".js")}
    assert sorted(SCRIPTS) == sorted(names)
    for name in SCRIPTS:
        assert HTML.count(FOLDER.joinpath("scripts", name).read_text("utf-8")) == 1
    assert "{{" not in HTML
    assert "\r" not in HTML


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function(", "localStorage", "sessionStorage",
             "indexedDB", "cookie", "http://", "https://", "@import", "url(", " style="],
)  # fmt: skip
def test_page_uses_no(word):
    assert word not in HTML


def test_scripts_name_elements_that_exist():
    ids = set(re.findall(r'\sid="([^"]+)"', HTML))
    used = set(re.findall(r'\$\("([^"]+)"\)', HTML))
    assert used <= ids
    assert len(used) > 30
